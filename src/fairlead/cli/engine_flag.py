"""The flag that says where the work is done."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from fairlead.config import LOCAL, parse_engine

__all__ = ["add_engine_flag"]


def add_engine_flag(parser: ArgumentParser, default: str | None = LOCAL) -> None:
    """Add `--engine`."""
    parser.add_argument(
        "--engine",
        type=_engine,
        default=default,
        metavar="ENGINE",
        help="local, ray (the cluster at RAY_ADDRESS or of this machine), or ray://HOST:PORT (default: local)",
    )


def _engine(text: str) -> str:
    try:
        return parse_engine(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} {error}") from error
