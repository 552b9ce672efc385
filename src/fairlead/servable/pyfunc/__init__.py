"""Models that are Python, run by MLflow in a process of their own: it may crash, hang or lie, and takes nobody with it.

Owns how their files lie in a version, the process and what is said to it, and what becomes of a run that it spoils.
Nothing that comes out of the process is ever unpickled. Start reading at `process`; `program` is what runs in there.
"""
