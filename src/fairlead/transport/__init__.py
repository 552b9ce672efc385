"""Wire formats and the HTTP server: bytes in, `Predictor` calls, bytes out.

It never knows where models come from or which files they have, and no rule about them is made here.
Start with `transport.http` (the application and its routes), then one folder a dialect.
"""
