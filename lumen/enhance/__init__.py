"""Enhancing a picture: the main path, its parts, and the Python API."""
