"""The page that describes every REST route, for people and for programs.

Each dialect lists its operations in an `operations` module beside its routes. Start with `openapi.operation`.
"""
