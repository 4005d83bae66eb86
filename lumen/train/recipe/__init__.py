"""Recipes: what a training does, as TOML."""
