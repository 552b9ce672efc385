"""A trained object, or the directory of one, becomes an ONNX file that answers the same.

It knows frameworks, one file each, and imports none that the caller has not; it never unpickles, publishes or serves.
Start with `original.Original`, the port, then `choosing.original_of`.
"""
