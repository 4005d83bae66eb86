"""Running exported models with onnxruntime."""

import os

# Its official builds send telemetry, and keep an identifier of the machine in the home folder. lumen turns that off,
# which must happen before onnxruntime is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
