"""The database: its tables, how they come to be, and how it is opened.

It knows what a row holds, never what it is good for; the rooms above read and write the tables.
Start with `database.schema`, then `database.engine`.
"""
