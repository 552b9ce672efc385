"""What a program in Python may use, made from its docstrings: the body of `docs/python.md`."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any, cast

import fairlead

__all__ = ["markdown"]

_ROOMS = {
    "fairlead": tuple(fairlead.__all__),
    "fairlead.training.recipe": ("Recipe", "Sources"),
    "fairlead.training.dataset": ("Dataset", "Rows", "Split"),
    "fairlead.training.run": ("Run",),
    "fairlead.servable.transform": ("Handwriting", "PictureTransform"),
    "fairlead.testing": ("check_servable", "publish_digit"),
}
"""The names that are promised, by where they are imported from."""

_LINE = 90
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:    .*\n|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^(\S[^:\n]*):[ \n]+", re.MULTILINE)


def markdown() -> str:
    """The names in Markdown, by module."""
    return "\n".join(line for room, names in _ROOMS.items() for line in _room(room, names))


def _room(room: str, names: tuple[str, ...]) -> Iterator[str]:
    yield from (f"## {room}", "")
    for name in names:
        yield from _member(getattr(importlib.import_module(room), name), f"### {name}")


def _member(member: Any, heading: str) -> Iterator[str]:
    """A class with its public methods, or a function."""
    tree = _tree(member)
    yield from (heading, "", *_code(_call(tree)), _prose(member), "")
    if isinstance(tree, ast.ClassDef) and tree.name != "Settings":  # its own page has them
        for name, value in vars(member).items():
            method = value.fget if isinstance(value, property) else value
            if not name.startswith("_") and inspect.isfunction(method) and method.__doc__:
                is_property = isinstance(value, property)
                yield from (f"#### {name}", "", *_code(_call(_tree(method), is_property)), _prose(method), "")


def _tree(member: Any) -> ast.stmt:
    return ast.parse(dedent(inspect.getsource(member))).body[0]


def _code(text: str) -> tuple[str, ...]:
    return "```python", text, "```", ""


def _call(tree: ast.stmt, is_property: bool = False) -> str:
    """How it is called, as its source has it."""
    if isinstance(tree, ast.ClassDef):
        own = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        return _call(own[0]).replace("__init__", tree.name).removesuffix(" -> None") if own else _made(tree)
    node = cast("ast.FunctionDef | ast.AsyncFunctionDef", tree)
    arguments = node.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    places = [_argument(*pair) for pair in zip(arguments.args, defaults, strict=True) if pair[0].arg != "self"]
    names = [_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    rest = [f"**{ast.unparse(arguments.kwarg)}"] if arguments.kwarg else []
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if is_property:
        return f"{node.name}{returned}"
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{start}{node.name}{_wrapped([*places, *(['*'] if names else []), *names, *rest])}{returned}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return f"{ast.unparse(argument)}{'' if default is None else f' = {ast.unparse(default)}'}"


def _made(tree: ast.ClassDef) -> str:
    """A dataclass, which is made of its fields; a protocol is made by nobody, and settings have a page of their own."""
    fields = [ast.unparse(node) for node in tree.body if isinstance(node, ast.AnnAssign)]
    fields = [field for field in fields if "ClassVar" not in field]
    if tree.name == "Settings":
        return "Settings(*, ...)"
    return f"{tree.name}{_wrapped(['*', *fields])}" if fields else f"class {tree.name}"


def _wrapped(arguments: list[str]) -> str:
    line = f"({', '.join(arguments)})"
    if len(line) <= _LINE:
        return line
    return "(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


def _prose(member: Any) -> str:
    """Its docstring, the sections of which are lists."""
    text = f"{inspect.getdoc(member)}\n"
    return _SECTION.sub(lambda found: f"{found[1]}:\n\n{_entries(found[1], dedent(found[2]))}\n", text).strip()


def _entries(section: str, block: str) -> str:
    if section in ("Returns", "Yields"):
        return block
    return re.sub(r"\n {4,}", " ", _ENTRY.sub(lambda found: f"* `{found[1]}`: ", block))
