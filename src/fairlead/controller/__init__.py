"""The control plane's passes: data checks -> train -> gate -> register -> publish -> release.

It never knows the request path.
Start with `controller.pipeline`.
"""
