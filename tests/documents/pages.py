"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

__all__ = ["PAGES", "ROOT", "Block", "blocks"]

ROOT = Path(__file__).parents[2]
_MADE = {"commands.md", "interfaces.md", "metrics.md", "python.md", "settings.md"}
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    )
    if path.name not in _MADE
)
"""All pages but those that are made from the code, and held to it."""

_PROGRAM = re.compile(r"(?:sudo -u \w+ )?(?:[A-Z_]+=\S+ )*([\w./-]+)(?= |$)")
_OUTPUT = ("{", '"', " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code.

    Attributes:
        page: where it stands, from the root.
        language: what a fence says that it is; empty for an indented block.
        text: what is in it.
    """

    page: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines, without comments, which follow two spaces; one that ends with a backslash goes on."""
        whole = re.sub(r" *\\\n *", " ", self.text)
        return [re.split(r" {2,}", line)[0] for line in whole.splitlines() if line and not line.startswith(_OUTPUT)]

    @property
    def programs(self) -> list[str]:
        """The first word of each line, which of commands is a program."""
        return [found[1] if (found := _PROGRAM.match(line)) else "" for line in self.lines]


def blocks() -> list[Block]:
    """All blocks of all pages."""
    found = []
    for path in PAGES:
        for token in MarkdownIt("commonmark").parse(path.read_text()):
            if token.type in ("code_block", "fence"):
                language = token.info.split(" ")[0]
                found.append(Block(page=str(path.relative_to(ROOT)), language=language, text=token.content))
    return found
