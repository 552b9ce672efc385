"""The one way of taking a model in that was made elsewhere: loaded once in a process of its own, judged, published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from fairlead.app.releases import now, open_writable_store
from fairlead.config import Settings
from fairlead.controller.workspace import workspace
from fairlead.gate.checks import check_import
from fairlead.gate.evidence import ImportEvidence
from fairlead.gate.table import table
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Report, Verdict
from fairlead.servable.disposable import Limits
from fairlead.servable.first_load import FirstLoad, load_first
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId, check_model_name
from fairlead.servable.manifest import Manifest
from fairlead.servable.pyfunc.layout import PYFUNC_RUNTIME
from fairlead.servable.pyfunc.process import Conditions
from fairlead.servable.pyfunc.proof import prove
from fairlead.servable.scores import class_scores
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.store import files
from fairlead.store.contents import check_contents
from fairlead.store.release import Release
from fairlead.store.writable_store import WritableStore
from fairlead.training.reference import REFERENCE_FILE, describe_answers

__all__ = ["Bring", "Intake", "Offer", "champion_of", "publish_first", "take_in"]


_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "export": "what float32 cannot tell apart, or a converter leaves out, is in docs/publish.md",
        "signature": "another signature is another model: publish it under another name",
        "batch axis": "build it without a batch size, and reshape by -1 and not by a number of rows",
        "labels": "name each number of the output, in its order",
    }
)
"""What to do, by the check that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that may become a version.

    Attributes:
        lineage: where it came from.
        labels: names of its classes; empty for those of the version that serves.
        default_labels: names where that has none either.
        sample: rows to ask it, see `load_first`.
        original: who was asked the same, see `ImportEvidence`.
        proof: what that one answered; None when nobody was asked.
        python: under what it runs, where it is no ONNX file but a model in Python.
        warnings: what people should know of it, whatever becomes of it.
    """

    lineage: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    default_labels: tuple[str, ...] = ()
    sample: Path | None = None
    original: str = ""
    proof: Golden | None = field(default=None, compare=False)
    python: Conditions | None = None
    warnings: tuple[str, ...] = ()


Bring = Callable[[Path], Offer]
"""Puts the file, and those with its values, into an empty directory."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Intake:
    """What taking a model in came to.

    Attributes:
        report: what the gate says of it.
        signature: what it takes and gives.
        labels: names of its classes.
        version: what was published; None when the gate refused it.
        release: what is in force.
        warnings: see `Offer`.
    """

    report: Report
    signature: Signature
    labels: tuple[str, ...]
    version: ServableId | None
    release: Release | None
    warnings: tuple[str, ...] = ()

    @property
    def is_released(self) -> bool:
        """Whether it serves."""
        return self.release is not None and self.version is not None and self.release.stable == self.version.version

    @property
    def advice(self) -> str:
        """What to do when the gate said no."""
        return "; ".join(_ADVICE[check.name] for check in self.report.failures if check.name in _ADVICE)

    @property
    def shown(self) -> str:
        """What it takes and gives, and what the gate says of it, for people."""
        lines = [f"takes  {_described(spec)}" for spec in self.signature.inputs]
        lines += [f"gives  {_described(spec)}" for spec in self.signature.outputs]
        lines += [f"labels {', '.join(self.labels)}"] if self.labels else []
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join([*lines, "", table(self.report)])

    def __repr__(self) -> str:
        serves = "serves" if self.is_released else "waits to be tried or promoted"
        head = f"published {self.version}, which {serves}" if self.version else "published nothing"
        return f"{head}\n{self.shown}"


def take_in(settings: Settings, name: str, bring: Bring, limits: Limits) -> Intake:
    """Publish what `bring` puts down as the next version of `name`; the first of that name is released.

    Args:
        settings: where the store is, and where there is room to work.
        name: the model.
        bring: see `Bring`.
        limits: what the file may take when it is loaded for the first time.

    Raises:
        FairleadError: saying why the file is not taken; nothing of it is left then.
    """
    check_model_name(name)
    store = open_writable_store(settings)
    with files.storage_errors(f"taking in {name}"), workspace(settings.home / "work") as work:
        version = work / "version"
        version.mkdir()
        offer = bring(version)
        check_contents(version, may_be_code=offer.python is not None)
        first = _load_first(settings, version, offer, limits)
        champion = champion_of(store, name)
        draft = _draft(name, offer, first, champion)
        report = check_import(_evidence(draft, champion, offer, first, version), Thresholds())
        id_ = None
        if report.verdict is not Verdict.FAILED:
            draft = replace(draft, gate=report.to_json())
            _describe(version, draft, offer.proof)
            id_ = publish_first(store, version, draft, why="the first version, which was imported")
    return Intake(
        report=report,
        signature=draft.signature,
        labels=draft.labels,
        version=id_,
        release=store.release(name),
        warnings=offer.warnings,
    )


def _load_first(settings: Settings, version: Path, offer: Offer, limits: Limits) -> FirstLoad:
    if offer.python is not None and offer.proof is not None:
        return prove(version, offer.python, offer.proof)
    proof = version.with_suffix(".proof.npz") if offer.proof is not None else None
    if offer.proof is not None and proof is not None:
        offer.proof.save(proof)
    return load_first(version, limits, offer.sample, [Path(library) for library in settings.operator_libraries], proof)


def _describe(version: Path, draft: Manifest, proof: Golden | None) -> None:
    """Write down what a classifier's sample looked like, and what it said of it: drift is measured against that."""
    scores = class_scores(draft.labels, proof.outputs, proof.rows) if proof is not None else None
    if proof is not None and scores is not None:
        found = describe_answers(proof.inputs, scores.astype(np.float32), draft.labels, draft.signature)
        (version / REFERENCE_FILE).write_bytes(found.encode())


def champion_of(store: WritableStore, name: str) -> Manifest | None:
    """What serves callers of `name` now; None for nothing."""
    release = store.release(name)
    return store.manifest(ServableId(name, release.stable)) if release else None


def _draft(name: str, offer: Offer, first: FirstLoad, champion: Manifest | None) -> Manifest:
    return Manifest(
        model=name,
        version=0,
        runtime="onnx" if offer.python is None else PYFUNC_RUNTIME,
        signature=first.signature,
        labels=offer.labels or (champion.labels if champion is not None else ()) or offer.default_labels,
        transform=champion.transform if champion is not None else {},
        files={},
        created_at=now(),
        lineage=offer.lineage,
        cost=first.cost,
    )


def _evidence(
    draft: Manifest, champion: Manifest | None, offer: Offer, first: FirstLoad, version: Path
) -> ImportEvidence:
    answered = Golden.load(version / GOLDEN_FILE).outputs
    return ImportEvidence(
        imported=draft,
        champion=champion,
        cost=first.cost,
        widths={name: array.shape[-1] for name, array in answered.items() if array.ndim > 1},
        original=offer.original,
        rows=offer.proof.rows if offer.proof else 0,
        difference=first.difference,
    )


def publish_first(store: WritableStore, directory: Path, draft: Manifest, *, why: str) -> ServableId:
    """Publish the files in `directory` as the draft says, and release it where nothing was released before."""

    def describe(number: int, digests: Mapping[str, str]) -> Manifest:
        return replace(draft, version=number, files=digests)

    sources = {path.name: path for path in sorted(directory.iterdir())}
    id_ = store.publish(draft.model, sources, describe).manifest.id
    if store.release(draft.model) is None:
        store.promote(id_, why=why, expected=0)
    return id_


def _described(spec: TensorSpec) -> str:
    values = f"  {spec.column.shown}" if spec.column is not None else ""
    return f"{spec.name} {spec.dtype}{list(spec.shape)}{values}".rstrip()
