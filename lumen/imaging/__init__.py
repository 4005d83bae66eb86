"""Pictures as arrays: files in and out, tiles, thumbnails, scores."""
