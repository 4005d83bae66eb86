"""Training in PyTorch: recipes, data, loop, checkpoints."""
