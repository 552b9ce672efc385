#!/usr/bin/env python3
"""Asks a server whether it lives, is ready, and answers a picture with a label: `python3 deploy/smoke.py URL`.

It needs Python alone. The exit status is 0 when all is well, 1 when something is not, 2 when it was misused. A proxy or
a server that wants a credential is shown the header in the variable SMOKE_HEADER, `x-api-key: ...`.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import time
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

_PAUSE_S = 0.5
_ASK_S = 10.0


class _NotWellError(Exception):
    """What is wrong, as a sentence."""


def main() -> int:
    """Look, print what was found, and say by the exit status whether it is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("url", help="where the REST port is reached, such as https://fairlead.fly.dev")
    parser.add_argument("--model", help="the model to ask (default: the server's own)")
    parser.add_argument("--picture", type=Path, help="a PNG or JPEG to send (default: a stroke)")
    parser.add_argument("--wait-s", type=float, default=30.0, help="how long it may take to be ready (default: 30)")
    given = parser.parse_args()
    if urlsplit(given.url).scheme not in ("http", "https"):
        parser.error(f"{given.url} is no http:// or https:// URL")
    try:
        picture = given.picture.read_bytes() if given.picture else _stroke()
        for line in _look(given.url.rstrip("/"), given.model, picture, given.wait_s):
            print(line)
    except (_NotWellError, OSError) as failure:
        print(f"FAILED {failure}", file=sys.stderr)
        return 1
    return 0


def _look(url: str, model: str | None, picture: bytes, wait_s: float) -> list[str]:
    """What was found, a line each.

    Raises:
        _NotWellError: with what is not as it should be.
    """
    until = time.monotonic() + wait_s
    _wait(f"{url}/alive", until)
    ready = _wait(f"{url}/health/ready", until)
    answer = _ask(f"{url}/predict" + (f"?model={quote(model)}" if model else ""), picture)
    label, proba = answer.get("label"), answer.get("proba")
    if not isinstance(label, str) or not isinstance(proba, float | int) or not 0 <= proba <= 1:
        raise _NotWellError(f"{url}/predict gave no label with a probability: {json.dumps(answer)[:300]}")
    served = ", ".join(f"{name}@{version}" for name, version in ready.get("models", {}).items())
    return [
        f"ok {url} is alive and ready: {served}",
        f"ok /predict: label {label}, probability {proba:.4f}, by {answer.get('model')}@{answer.get('version')}",
    ]


def _wait(url: str, until: float) -> Any:
    """The page once it answers with 200: a machine may have to be started first, and a model to be loaded."""
    while True:
        try:
            return _ask(url)
        except _NotWellError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE_S)


def _ask(url: str, body: bytes | None = None) -> Any:
    """The JSON object that it answers a GET, or a POST of `body`, with."""
    name, _, value = os.environ.get("SMOKE_HEADER", "").partition(":")
    headers = {name.strip(): value.strip()} if value else {}
    try:
        with urlopen(Request(url, body, headers), timeout=_ASK_S) as response:  # noqa: S310 - main has seen the scheme
            text = response.read()
    except HTTPError as error:
        raise _NotWellError(f"{url} answered {error.code}: {error.read(300).decode(errors='replace')}") from error
    except (OSError, HTTPException) as error:
        raise _NotWellError(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from error
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise _NotWellError(f"{url} answered no JSON: {text[:100]!r}") from error
    if not isinstance(answer, dict):
        raise _NotWellError(f"{url} answered no JSON object: {text[:100]!r}")
    return answer


def _stroke(side: int = 28) -> bytes:
    """A PNG of `side` x `side` grey pixels with an upright stroke, white on black: a one."""
    inked = range(side // 2 - 1, side // 2 + 2)
    line = bytes(255 if x in inked else 0 for x in range(side))
    blank, margin = bytes(side), side // 7
    rows = [line if margin <= y < side - margin else blank for y in range(side)]
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in pieces
    )


if __name__ == "__main__":
    sys.exit(main())
