"""Files: atomic writes, locks, paths and patterns."""
