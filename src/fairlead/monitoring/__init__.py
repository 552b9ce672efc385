"""What happened in production: predictions, labels that come late, drift, quality, and the statistics of experiments.

It never decides what is to be done about it.
Start with `monitoring.prediction` and follow a row through `monitoring.spool` to `monitoring.prediction_log`.
"""
