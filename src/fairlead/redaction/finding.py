"""What was found in a text, and where."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["STRUCTURED", "Category", "Finding"]


class Category(enum.StrEnum):
    """What a piece of text is; in a redacted text its name stands in its place."""

    ADDRESS = "address"
    BANK_ACCOUNT = "bank account"
    CARD = "card"
    DATE_OF_BIRTH = "date of birth"
    EMAIL = "email"
    IP_ADDRESS = "ip address"
    LOCATION = "location"
    MAC_ADDRESS = "mac address"
    NAME = "name"
    NATIONAL_ID = "national id"
    PASSPORT = "passport"
    PHONE = "phone"
    PLATE = "plate"
    SECRET = "secret"  # noqa: S105 - the category's name
    WALLET = "wallet"


STRUCTURED = frozenset(
    {
        Category.BANK_ACCOUNT,
        Category.CARD,
        Category.EMAIL,
        Category.IP_ADDRESS,
        Category.MAC_ADDRESS,
        Category.NATIONAL_ID,
        Category.SECRET,
        Category.WALLET,
    }
)
"""The categories whose members are told by their form alone, or by a check digit."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Characters `start` to `end` of a text are of `category`."""

    start: int
    end: int
    category: Category
