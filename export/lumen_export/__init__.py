"""From a checkpoint to one ONNX file that inference needs nothing else for."""
