"""A published version becomes what another system loads as it is, and proves itself there.

It knows the systems, one file each, and imports their libraries only to write for them; it never publishes or serves.
Start with `target.Target`, then `targets.TARGETS`.
"""
