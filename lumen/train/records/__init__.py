"""What a training records: metrics, curves, samples and event files."""
