"""Training data: found, checked, split by scene, loaded, and cut into crops."""
