"""Quality metrics, with and without a reference picture."""
