"""Wraps ONNX networks of other people, a picture in and a picture out, into the contract of `lumen.spec`.

::

    read_network -> Runner -> measure_layout, measure_tiles -> wrapped -> check_files

Only the package `onnx` is needed, no torch.
"""
