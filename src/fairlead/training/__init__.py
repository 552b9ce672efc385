"""From rows to a candidate: the recipe port, data sets, training runs, the registry adapter.

It never knows how a model is judged or served.
Start with `training.recipe` (what a user writes), then `training.trainer` (what is done with it).
"""
