"""Who may ask for what: API keys in a file, the key of the environment, and the doorkeeper that knows them.

It knows no wire format, and answers nobody. Start with `access.doorkeeper`.
"""
