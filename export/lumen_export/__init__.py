"""Exports a checkpoint to ONNX files that need nothing else at inference."""
