"""Rows to begin with texts: what customers of a shop write, and what it is about."""

from __future__ import annotations

import csv
import io
import random

__all__ = ["tickets"]

_ROWS = 1500
_GREETINGS = ("Hello,", "Hi,", "Good morning,", "Dear team,", "Please help:", "Once more:", "")
_CLOSINGS = ("Thanks!", "Please answer soon.", "Kind regards", "This is the second time I ask.", "What now?", "")
_THINGS = ("the lamp", "a chair", "two cups", "the blue jacket", "my boots", "the kettle", "a desk", "the speakers")
_SENTENCES = {
    "delivery": (
        ("My parcel with {}", "The package with {}", "The driver who had {}", "The van that brings {}"),
        ("has not come.", "is a week late.", "went to the wrong door.", "is stuck at the depot."),
    ),
    "payment": (
        ("I was charged twice for {}", "The invoice for {}", "My card was debited for {}", "The price of {}"),
        (
            "and want the money back.",
            "shows the wrong amount.",
            "though I paid by transfer.",
            "has a fee that I do not know.",
        ),
    ),
    "return": (
        ("I would like to send back {},", "How do I return {},", "Please take back {},", "I want to exchange {},"),
        ("it does not fit.", "it came broken.", "I changed my mind.", "the colour is another."),
    ),
}


def tickets() -> str:
    """A file of CSV, the same each time: made up, so that anybody may have it and it needs no download."""
    dice = random.Random(20)  # noqa: S311 - rows, not secrets
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("text", "topic"))
    for _ in range(_ROWS):
        topic = dice.choice(list(_SENTENCES))
        starts, ends = _SENTENCES[topic]
        words = (
            dice.choice(_GREETINGS),
            dice.choice(starts).format(dice.choice(_THINGS)),
            dice.choice(ends),
            dice.choice(_CLOSINGS),
        )
        writer.writerow((" ".join(filter(None, words)), topic))
    return file.getvalue()
