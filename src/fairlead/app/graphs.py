"""A graph of published versions, put together, asked, judged and published as a version of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fairlead.app.intake import Intake, champion_of, publish_first
from fairlead.app.models import open_loader
from fairlead.app.releases import now, open_writable_store
from fairlead.config import Settings
from fairlead.controller.workspace import workspace
from fairlead.errors import Code, FairleadError
from fairlead.gate.checks import check_graph
from fairlead.gate.evidence import ImportEvidence
from fairlead.gate.verdict import Verdict
from fairlead.servable.cost import cost_since, peak_bytes
from fairlead.servable.golden import GOLDEN_FILE, TOLERANCE, Golden
from fairlead.servable.graph.fit import fit
from fairlead.servable.graph.spec import GRAPH_RUNTIME, GraphSpec, Kind
from fairlead.servable.identity import ServableId, check_model_name
from fairlead.servable.manifest import Cost, Manifest
from fairlead.servable.sample import ask
from fairlead.servable.scores import MEMBERS
from fairlead.servable.signature import Tensors
from fairlead.serving.loading import Assembly
from fairlead.store import files
from fairlead.store.store import Store

__all__ = ["publish_graph"]

_PATIENCE_S = 60.0


def publish_graph(settings: Settings, name: str, spec: GraphSpec) -> Intake:
    """Publish `spec` as the next version of `name`; the first of that name is released.

    All versions that it names are verified, loaded and asked the golden rows of its first member. The manifests that
    they have now are pinned: another version under one of their numbers is not loaded later.

    Args:
        settings: where the store is, and where there is room to work.
        name: the model.
        spec: the graph.

    Raises:
        FairleadError: saying why it is not published; nothing of it is left then.
    """
    check_model_name(name)
    store = open_writable_store(settings)
    versions = {named.id: store.open(named.id) for named in spec.versions}
    manifests = {id_: version.manifest for id_, version in versions.items()}
    fitted = fit(spec, manifests)
    spec = spec.pinned({id_: store.digest(id_) for id_ in versions})
    champion = champion_of(store, name)
    assembly = open_loader(settings, patience_s=_PATIENCE_S).assemble(ServableId(name, 0), spec)
    try:
        golden = _golden(store, spec, assembly)
        cost = _cost(assembly, golden, list(manifests.values()))
    finally:
        assembly.graph.close()
    draft = Manifest(
        model=name,
        version=0,
        runtime=GRAPH_RUNTIME,
        signature=fitted.signature,
        labels=fitted.labels,
        transform=fitted.transform,
        files={},
        created_at=now(),
        lineage={"members": [str(named.id) for named in spec.versions]},
        cost=cost,
        graph=spec,
    )
    evidence = ImportEvidence(
        imported=draft,
        champion=champion,
        cost=cost,
        widths={name: array.shape[-1] for name, array in golden.outputs.items() if array.ndim > 1},
    )
    report = check_graph(evidence, list(manifests.values()))
    id_ = None
    if report.verdict is not Verdict.FAILED:
        with files.storage_errors(f"publishing {name}"), workspace(settings.home / "work") as work:
            golden.save(work / GOLDEN_FILE)
            draft = replace(draft, gate=report.to_json())
            id_ = publish_first(store, work, draft, why="the first version, which is a graph")
    return Intake(
        report=report, signature=draft.signature, labels=draft.labels, version=id_, release=store.release(name)
    )


def _golden(store: Store, spec: GraphSpec, assembly: Assembly) -> Golden:
    """Those of the first member's golden rows that the graph answers, with its answers.

    Raises:
        FairleadError: FAILED_PRECONDITION when it answers none, or a member speaks for none.
    """
    first = spec.members[0].id
    inputs = Golden.load(store.base(first.model) / str(first.version) / GOLDEN_FILE).inputs
    answered: list[int] = []
    spoke: set[str] = set()
    refused = ""
    for row in np.flatnonzero(_clear_rows(spec, assembly, inputs)).tolist():
        try:
            answer = assembly.graph.predict({name: array[row : row + 1] for name, array in inputs.items()})
        except FairleadError as error:
            refused = error.message
        else:
            answered.append(row)
            spoke.update(answer[MEMBERS][0].split(","))
    if not answered:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the graph answers none of the golden rows of {first}: {refused or 'all are ties'}",
        )
    if silent := [str(member.id) for member in spec.members if str(member.id) not in spoke]:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{silent[0]} speaks for none of the golden rows of {first}")
    rows = {name: array[answered] for name, array in inputs.items()}
    return ask(assembly.graph, assembly.fitted.signature, [rows])


def _clear_rows(spec: GraphSpec, assembly: Assembly, inputs: Tensors) -> NDArray[np.bool_]:
    """The rows that another machine's rounding does not turn: in a vote, those without a member that wavers."""
    clear = np.ones(len(next(iter(inputs.values()))), np.bool_)
    if spec.kind is Kind.VOTE:
        for member in spec.members:
            (scores,) = assembly.parts[member.id].servable.predict(inputs).values()
            best = np.sort(scores.astype(np.float64), axis=1)[:, -2:]
            clear &= best[:, 1] - best[:, 0] > 2 * TOLERANCE
    return clear


def _cost(assembly: Assembly, golden: Golden, members: Sequence[Manifest]) -> Cost:
    """The memory of all that it names, as far as it was measured, and the time that it takes itself."""
    row = {name: array[:1] for name, array in golden.inputs.items()}
    known = sum(member.cost.peak_memory_bytes for member in members if member.cost is not None)
    return replace(cost_since(peak_bytes(), assembly.graph, row), peak_memory_bytes=known)
