"""The page on which people try the models: what it is made of, whoever serves it.

It owns the markup, the style and the scripts, and never knows who sends them or where the requests go: whoever shows
the pane says so in its attributes. Start with `trypage.asset`, then `static/pane.html` and `static/try.js`.
"""
