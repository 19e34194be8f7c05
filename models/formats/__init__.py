"""File formats read as data, never run: safetensors, ONNX, OpenVINO IR, tflite, pickles."""
