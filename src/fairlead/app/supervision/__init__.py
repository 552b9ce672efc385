"""The workers and who watches them: what parent and worker tell each other, when one is started, and when one must go.

It never opens a model and imports nothing heavy: the parent that runs it stays small.
Start with `supervision.supervisor`, then `supervision.policy` (what to do next, as a pure function).
"""
