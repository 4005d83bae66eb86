"""Picture files: one module per format, and the limits of each format."""
