"""The console's process, and what it is told, shows and does. Start reading at `line`: the parent's side of it.

Only `line` is loaded by the parent: everything else needs the control plane's libraries.
"""
