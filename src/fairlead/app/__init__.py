"""The composition root: the only room that knows every other one, and where lifetimes begin and end.

It makes no rule of its own; it puts parts together for one purpose and lets them go again.
Start with `app.server` (what `fairlead serve` runs), then `app.training`.
"""
