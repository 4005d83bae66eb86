"""Files as such: whole or not at all, locks, paths and patterns."""
