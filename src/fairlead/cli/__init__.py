"""The `fairlead` command: parsing and printing, one file a verb.

It makes no rule; it calls `fairlead.app` and shows the answer.
Start with `cli.main`.
"""
