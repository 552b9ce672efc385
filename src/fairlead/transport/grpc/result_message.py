"""Classifications and regressions as TensorFlow Serving's messages."""

from __future__ import annotations

from fairlead.transport.grpc.messages import Message
from fairlead.transport.tfserving.inference import Inferred
from fairlead.transport.tfserving.result import Classes

__all__ = ["fill_result"]


def fill_result(message: Message, answer: Inferred) -> None:
    """Write `answer` into an empty ClassificationResult or RegressionResult, whichever it is."""
    message.SetInParent()
    result = answer.result
    if not isinstance(result, Classes):
        for value in result.tolist():
            message.regressions.add(value=value)
        return
    for labels, scores in zip(result.labels, result.scores.tolist(), strict=True):
        row = message.classifications.add()
        for label, score in zip(labels, scores, strict=True):
            row.classes.add(label=label, score=score)
