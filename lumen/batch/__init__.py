"""Many files in one run: find them, give each its place, enhance them, say what became of each."""
