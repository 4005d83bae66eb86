"""Bundled models (ONNX files and their cards)."""
