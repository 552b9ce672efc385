"""`fairlead versions`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from fairlead.app.releases import open_store
from fairlead.cli.output import columns, json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.release import Release
from fairlead.store.store import Store

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead versions digits
  fairlead versions digits --json"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_flags(parser, "home", "store", "trusted_keys")


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One version as it is shown; `problem` says why it is not served, and `manifest` is None when it is damaged."""

    version: int
    serves_as: tuple[str, ...]
    manifest: Manifest | None = None
    problem: str = ""

    def cells(self) -> tuple[str, ...]:
        serves_as = ", ".join(self.serves_as) or "-"
        if self.manifest is None:
            return str(self.version), serves_as, "-", "-", f"damaged: {self.problem}"
        accuracy = self.manifest.metrics.get("accuracy")
        return (
            str(self.version),
            serves_as,
            "-" if accuracy is None else f"{accuracy:.2%}",
            f"{self.manifest.created_at:%Y-%m-%d %H:%M}",
            f"refused: {self.problem}"
            if self.problem
            else str(self.manifest.lineage.get("data", {}).get("source", "-")),
        )

    def to_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"version": self.version, "serves_as": list(self.serves_as)}
        if self.manifest is None:
            return {**shown, "problem": self.problem}
        if self.problem:
            shown["problem"] = self.problem
        return {
            **shown,
            "metrics": dict(self.manifest.metrics),
            "created_at": self.manifest.created_at.isoformat(timespec="seconds"),
            "lineage": dict(self.manifest.lineage),
        }


def run(arguments: Namespace) -> int:
    store, model = open_store(settings_from(arguments)), arguments.model
    release = store.release(model)
    unsigned = store.signature_problems(model)
    lines = [
        _line(store, ServableId(model, version), release, unsigned.get(version, ""))
        for version in reversed(store.versions(model))
    ]
    if not lines:
        raise store.no_model(model)
    if arguments.json:
        json_line(
            {
                "model": model,
                "revision": release.revision if release else 0,
                "versions": [line.to_json() for line in lines],
            }
        )
        return 0
    print(columns([("VERSION", "SERVES AS", "ACCURACY", "CREATED (UTC)", "DATA"), *(line.cells() for line in lines)]))
    if release:
        say(f"release {release.revision} by {release.who} at {release.at:%Y-%m-%d %H:%M} UTC: {release.why}")
    for name in store.unfinished(model):
        say(f"{store.root / model / name} has no manifest: it is no version and is not served")
    return 0


def _line(store: Store, id_: ServableId, release: Release | None, problem: str) -> _Line:
    stable = ("stable",) if release and release.stable == id_.version else ()
    labels = tuple(label for label, version in (release.labels if release else {}).items() if version == id_.version)
    try:
        return _Line(version=id_.version, serves_as=stable + labels, manifest=store.manifest(id_), problem=problem)
    except FairleadError as error:
        return _Line(version=id_.version, serves_as=stable + labels, problem=error.message)
