"""What happens in the watched folder: events, scans, and what is settled."""
