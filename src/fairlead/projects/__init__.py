"""A project of one's own, as `fairlead init` writes it: its files, and the rows that it can be tried with.

It owns the templates and never reads what was made of one: a project is its user's.
Start with `projects.project`, then `templates/`.
"""
