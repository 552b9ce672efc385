"""How the files of a version become one that answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.graph.fit import Fitted, fit
from fairlead.servable.graph.servable import GraphServable, Part
from fairlead.servable.graph.spec import GraphSpec, MemberSpec
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.pyfunc.layout import ALLOW, PYFUNC_RUNTIME
from fairlead.servable.servable import LoadedModel, Loader, Servable
from fairlead.servable.signature import DEFAULT_SIGNATURE
from fairlead.servable.warmup import DecodeWarmup, warm_up
from fairlead.serving.shared import SharedModels
from fairlead.serving.target import UnknownSignatureError
from fairlead.store.contents import check_contents
from fairlead.store.plain import runtime_of
from fairlead.store.store import Store
from fairlead.telemetry.graphs import GraphMetrics
from fairlead.telemetry.instruments import Instruments

__all__ = ["Assembly", "LoadedVersion", "VersionLoader"]

_MOST_VALUES = 2**31
_PROOF_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVersion:
    """A version that can answer.

    Attributes:
        model: what answers.
        manifests: for each signature the manifest that has it as its own.
        warmup_s: seconds that its first runs took, which warmed or proved it.
        let_go: gives the memory back, unless another version holds the same model.
    """

    model: LoadedModel
    manifests: Mapping[str, Manifest]
    warmup_s: float
    let_go: Callable[[], None]

    def answering(self, signature: str) -> tuple[Servable, Manifest]:
        """Who answers for `signature`, see `LoadedModel.meant_by`.

        Raises:
            UnknownSignatureError: when the model has no such signature.
        """
        name = self.model.meant_by(signature)
        if name not in self.manifests:
            raise UnknownSignatureError(signature, known=", ".join(self.manifests))
        return self.model.servables[name], self.manifests[name]

    def close(self) -> None:
        """Give it back. Called once."""
        self.let_go()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A graph with its versions loaded.

    Attributes:
        graph: answers; who closes it lets the versions go.
        fitted: what it takes and gives.
        parts: the versions.
    """

    graph: GraphServable
    fitted: Fitted
    parts: Mapping[ServableId, Part]


class VersionLoader:
    """From an id to a version that has been warmed, and proven where there is something to prove it with.

    Args:
        store: where published versions are.
        loaders: by runtime.
        decode_warmup: reads the requests that a plain version brings to be warmed with; None to leave them aside.
        roots: directories that the links of plain versions may lead into.
        graphs: told of the runs of graphs.
        patience_s: the least that a graph waits for its members, whatever their deadlines.
    """

    def __init__(
        self,
        store: Store,
        loaders: Mapping[str, Loader],
        decode_warmup: DecodeWarmup | None = None,
        roots: Sequence[Path] = (),
        *,
        graphs: GraphMetrics | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self._store = store
        self._loaders = loaders
        self._decode_warmup = decode_warmup
        self._roots = roots
        self._graphs = graphs or GraphMetrics(Instruments())
        self._patience_s = patience_s
        self._shared = SharedModels()

    def load(self, id_: ServableId, directory: Path | None = None) -> LoadedVersion:
        """Load the version; nothing stays loaded when any of the stages fails.

        Args:
            id_: who it is.
            directory: where a plain version is; None for one that was published in the store.

        Raises:
            FairleadError: the reason.
        """
        return self._load_published(id_) if directory is None else self._load_plain(id_, directory)

    def _load_published(self, id_: ServableId) -> LoadedVersion:
        """Verify digests and signature, look at the files, load, reproduce the golden outputs."""
        version = self._store.open(id_)
        manifest = version.manifest
        check_contents(version.directory, may_be_code=manifest.runtime == PYFUNC_RUNTIME)
        if GOLDEN_FILE not in manifest.files:
            raise FairleadError(Code.FAILED_PRECONDITION, f"{id_} has no {GOLDEN_FILE} to prove itself with")
        golden = Golden.load(version.directory / GOLDEN_FILE)
        if manifest.graph is not None:
            return self._load_graph(manifest, manifest.graph, golden)
        loader = self._loader(id_, manifest.runtime)
        model, let_go = self._shared.take(
            (id_, frozenset(manifest.files.items())), lambda: loader.load(version.directory)
        )
        return self._proven(model, manifest, golden, let_go)

    def _load_graph(self, manifest: Manifest, spec: GraphSpec, golden: Golden) -> LoadedVersion:
        assembly = self.assemble(manifest.id, spec)
        model = LoadedModel(
            signatures={DEFAULT_SIGNATURE: assembly.fitted.signature}, servables={DEFAULT_SIGNATURE: assembly.graph}
        )
        proven = self._proven(model, manifest, golden, model.close)
        assembly.graph.patience_s = self._patience_s
        return proven

    def assemble(self, id_: ServableId, spec: GraphSpec) -> Assembly:
        """Load the versions that a graph names, each as any other, and put them together.

        It waits for them with patience until that is changed, so that it can prove itself on a busy machine.

        Args:
            id_: whose the graph is.
            spec: the graph; the manifests of its versions are pinned.

        Raises:
            FairleadError: naming the version that cannot be loaded or does not fit; nothing stays loaded then.
        """
        loaded: dict[ServableId, LoadedVersion] = {}
        try:
            for named in spec.versions:
                loaded[named.id] = self._load_member(id_, named)
            answering = {member: version.answering("") for member, version in loaded.items()}
            fitted = fit(spec, {member: manifest for member, (_, manifest) in answering.items()})
        except BaseException:
            for version in loaded.values():
                version.close()
            raise
        parts = {
            member: Part(servable=servable, signature=manifest.signature, let_go=loaded[member].close)
            for member, (servable, manifest) in answering.items()
        }
        graph = GraphServable(id_, spec, fitted.signature, parts, metrics=self._graphs, patience_s=_PROOF_S)
        return Assembly(graph=graph, fitted=fitted, parts=parts)

    def _load_member(self, graph: ServableId, named: MemberSpec) -> LoadedVersion:
        try:
            self._check_member(named)
            return self._load_published(named.id)
        except FairleadError as error:
            raise FairleadError(error.code, f"{graph} needs {named.id}: {error.message}", hint=error.hint) from error

    def _check_member(self, named: MemberSpec) -> None:
        """Raise unless it is what the graph was made of, and no graph itself."""
        if self._store.digest(named.id) != named.manifest:
            raise FairleadError(Code.DATA_LOSS, f"{named.id} is not the version that the graph was made of")
        if self._store.manifest(named.id).graph is not None:
            raise FairleadError(Code.FAILED_PRECONDITION, f"{named.id} is a graph itself")

    @staticmethod
    def _proven(model: LoadedModel, manifest: Manifest, golden: Golden, let_go: Callable[[], None]) -> LoadedVersion:
        """The version once it has reproduced the golden outputs; else nothing stays loaded."""
        try:
            _check_rows(model)
            _check_signatures(model, manifest)
            began = time.monotonic()
            golden.prove(model.servables[model.default])
            warmup_s = time.monotonic() - began
        except BaseException:
            let_go()
            raise
        return _loaded(model, manifest, warmup_s, let_go)

    def _load_plain(self, id_: ServableId, directory: Path) -> LoadedVersion:
        """Look at the files, load, and warm with what the directory has for it."""
        runtime = runtime_of(directory)
        if runtime is None:
            raise FairleadError(Code.NOT_FOUND, f"{directory} holds no model any more")
        loader = self._loader(id_, runtime)
        check_contents(directory, self._roots)
        self._store.check_signature(directory)
        model = loader.load(directory)
        try:
            _check_rows(model)
            began = time.monotonic()
            warm_up(model, directory, self._decode_warmup)
            warmup_s = time.monotonic() - began
            manifest = Manifest(
                model=id_.model,
                version=id_.version,
                runtime=runtime,
                signature=model.signatures[model.default],
                signatures=model.signatures,
                init_op=model.init_op,
                labels=(),
                files={},
                created_at=datetime.fromtimestamp(directory.stat().st_mtime, UTC),
            )
        except BaseException:
            model.close()
            raise
        return _loaded(model, manifest, warmup_s, model.close)

    def _loader(self, id_: ServableId, runtime: str) -> Loader:
        if runtime not in self._loaders:
            known = ", ".join(sorted(self._loaders))
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{id_} needs the runtime {runtime!r}; this process has {known}",
                hint=ALLOW if runtime == PYFUNC_RUNTIME else "",
            )
        return self._loaders[runtime]


def _check_rows(model: LoadedModel) -> None:
    """Refuse inputs that a single row of could not be held."""
    for signature in model.signatures.values():
        for spec in signature.inputs:
            if math.prod(map(abs, spec.shape)) > _MOST_VALUES:
                raise FairleadError(
                    Code.RESOURCE_EXHAUSTED,
                    f"input {spec.name!r} has shape {list(spec.shape)}: more than {_MOST_VALUES:,} values a row",
                )


def _check_signatures(model: LoadedModel, manifest: Manifest) -> None:
    found, wanted = (
        {name: signature.to_json() for name, signature in signatures.items()}
        for signatures in (model.signatures, manifest.named_signatures)
    )
    if found != wanted:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{manifest.id} has the signatures {found} but its manifest says {wanted}"
        )


def _loaded(model: LoadedModel, manifest: Manifest, warmup_s: float, let_go: Callable[[], None]) -> LoadedVersion:
    manifests = {name: replace(manifest, signature=signature) for name, signature in model.signatures.items()}
    return LoadedVersion(model=model, manifests=manifests, warmup_s=warmup_s, let_go=let_go)
