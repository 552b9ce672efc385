"""The model store: versions that are published whole, and the small file that says which of them should serve.

It never knows how a model is loaded, trained or judged.
Start with `store.store` (reading), then `store.writable_store` (publishing, promoting, rolling back) and
`store.release` (what should serve).
"""
