"""Recipes: all values of a training, as TOML."""
