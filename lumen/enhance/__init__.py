"""From a dark picture to a good one: the main path, its parts, and the Python API."""
