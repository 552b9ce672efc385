"""Pure checks on evidence, each with its figure, threshold and verdict.

It never knows who asked, where the evidence came from, or what happens next.
Start with `gate.evidence` (what is looked at), then `gate.checks`.
"""
