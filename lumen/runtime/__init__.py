"""Running exported models with onnxruntime."""

import os

# Its official builds report to their maker, and keep an identifier of the machine in the home folder. Pictures are
# nobody's business; and this must be said before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
