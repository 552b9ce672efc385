"""What can be served: identity, signature, manifest, transform, and the Servable and Loader ports.

It never knows where files came from, which protocol asked, or what time it is.
Start with `servable.servable` (the ports), then `servable.manifest` (what a version says of itself).
"""
