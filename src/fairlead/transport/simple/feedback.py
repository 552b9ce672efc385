"""`POST /feedback`: what was true of earlier predictions."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HttpError
from fairlead.transport.content_coding import plain_body
from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo, parse_json
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import FeedbackTaker
from fairlead.transport.refusal import refusal

__all__ = ["MAX_LABELS", "Feedback"]

MAX_LABELS = 10_000
_SOURCE = "api"
_EXAMPLE = 'send {"prediction_id": "...", "label": "7"} or {"labels": [{"prediction_id": "...", "label": "7"}, ...]}'


class Feedback:
    """Answers `/feedback` once the labels are committed.

    Args:
        taker: takes them in; None where no prediction is logged.
    """

    def __init__(self, taker: FeedbackTaker | None) -> None:
        self._taker = taker

    async def answer(self, request: Request, call: Call) -> Response:
        if request.method != "POST":
            raise HttpError(
                405,
                Code.INVALID_ARGUMENT,
                f"/feedback does not answer {request.method[:20]}",
                hint=_EXAMPLE,
                headers=((b"allow", b"POST"),),
            )
        call.api = "feedback"
        model = _model(request.query)
        labels, is_single = _labels(parse_json(await plain_body(request)))
        if self._taker is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                "predictions are not logged here, so labels have nothing to belong to",
                hint="fairlead serve --prediction-log on",
            )
        taking = self._taker.give(labels, source=_SOURCE, model=model)
        taken = await asyncio.create_task(taking)  # it has a time limit
        return Response.of(taken[0] if is_single else {"labels": taken})

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)


def _model(query: str) -> str | None:
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := [name for name in asked if name != "model"]:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"/feedback has no parameter {unknown[0][:80]!r}", hint="it has model"
        )
    return asked.get("model") or None


def _labels(document: Any) -> tuple[list[tuple[Any, Any]], bool]:
    """The pairs, and whether the document is one alone."""
    if not isinstance(document, dict):
        raise invalid(f"the body must be a JSON object, not {echo(document)}: {_EXAMPLE}")
    if "labels" not in document:
        return [_pair(document, "the body")], True
    items = document["labels"]
    if not isinstance(items, list):
        raise invalid(f"'labels' must be a list, not {echo(items)}: {_EXAMPLE}")
    if len(items) > MAX_LABELS:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the body has {len(items):,} labels; one may have {MAX_LABELS:,}",
            hint="send them in several bodies, or take a file in: fairlead labels import FILE",
        )
    return [_pair(item, f"label {number}") for number, item in enumerate(items)], False


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    if not isinstance(item, dict):
        raise invalid(f"{where} must be an object, not {echo(item)}: {_EXAMPLE}")
    if missing := [name for name in ("prediction_id", "label") if name not in item]:
        raise invalid(f"{where} has no {missing[0]!r}: {_EXAMPLE}")
    return item["prediction_id"], item["label"]
