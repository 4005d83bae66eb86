"""Many files in one run: find them, decide where each result goes, enhance them, report what became of each."""
