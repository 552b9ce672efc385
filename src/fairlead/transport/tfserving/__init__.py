"""TensorFlow Serving's REST dialect: everything under `/v1`, with its words for what goes wrong.

Start with `tfserving.dialect` (the routes and the order of checks), then `tfserving.tensors`.
"""
