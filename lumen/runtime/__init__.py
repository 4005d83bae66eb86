"""Running exported models with onnxruntime."""
