"""How much each caller and each model may be asked: rates, and the budgets that all workers of a server share.

It knows no credentials and no wire format. Start with `metering.meter`.
"""
