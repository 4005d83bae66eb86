"""Wraps ONNX networks of other people, a picture in and a picture out, into the contract of `lumen.spec`.

::

    read_foreign -> measure_layout, measure_tiles -> wrapped_network -> compare_with_network, compare_tiles

Only the package `onnx` is needed, no torch.
"""
