"""What a watcher shows of itself in files: a page for people, and metrics for Prometheus.

`Monitor` writes both from a thread of its own, so that no file waits for them.
"""
