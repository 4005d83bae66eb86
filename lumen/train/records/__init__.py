"""What a training writes down of itself."""
