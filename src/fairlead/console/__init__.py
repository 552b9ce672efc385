"""The console: the pages of the management port for people, their login, and the same figures as JSON.

It shows what `ports.SystemView` tells; it knows no rules, and nothing of where
figures come from. Start reading at `application`.
"""
