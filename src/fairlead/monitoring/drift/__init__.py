"""Drift: whether what comes in, and what the model says of it, still looks as it did when the model was judged.

Every detector is a pure function of a reference and a window of rows. It never reads a log, a file or a clock, and
never decides what is to be done about what it finds.
Start with `drift.window`; `drift.persistence` says since when, `drift.calibration` makes room for streams whose rows
resemble the ones before, and `drift.page_hinkley` says at which row a change began.
"""
