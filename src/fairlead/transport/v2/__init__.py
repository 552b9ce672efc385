"""The Open Inference Protocol V2 over REST: everything under `/v2`.

Start with `v2.dialect`, then `v2.inputs` (what a request carries).
"""
