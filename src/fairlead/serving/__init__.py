"""What serves and how a request meets it: source -> policy -> manager -> handle, and the predictor in front.

It never knows training, gates, rollouts or wire formats, and it imports no runtime.
Start with `serving.predictor` (a request's story), then `serving.manager` (a version's life).
"""
