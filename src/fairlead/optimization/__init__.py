"""A model's file becomes others that should answer the same in less time, and their pace is measured.

It never judges what it has made, publishes or serves.
Start with `method.Method`, then `methods.METHODS` and `pace.measure_pace`.
"""
