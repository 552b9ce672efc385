"""Finds what is about a person or a secret in texts, and takes it out before anybody writes them down.

It never reads or writes anything, and knows no logs. Start with `redaction.redactor`; a file beside it holds the rules
of one family of categories. What is found is what has a form: names and addresses only where the words around tell.
"""
