"""The version of lumen, stated once: packaging and everything that prints it read it from here."""

__version__ = "0.1.0"
