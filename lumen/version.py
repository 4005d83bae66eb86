"""The version of lumen, stated once: packaging reads it from here, and so does whoever prints it."""

__version__ = "0.1.0"
