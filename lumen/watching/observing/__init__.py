"""Observing the watched folder: events, hints, file systems, and files that settle."""
