"""Files scored with one version of a model, part by part: what is to be read, what is written, what is already there.

It never knows how a version is found or loaded, and holds no more than a few parts in memory.
Start with `batch.job` (the whole of it), then `batch.source` (what is read) and `batch.output` (what is written).
"""
