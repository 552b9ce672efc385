"""`fairlead import`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.app.importing import import_model
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.servable.disposable import Limits

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead import mnist.onnx --name digits
  fairlead import exported/digits --name digits
  fairlead import tagger.onnx --name tagger --labels spam,ham --sample rows.npz --timeout-s 120

What is imported is an ONNX file, the directory of a SavedModel, which is written as ONNX and held to what TensorFlow
answers, or a model directory of MLflow's. One of those with neither in it is Python: where FAIRLEAD_PYTHON_MODELS=on
allows that, it is taken, and served by a process of its own. All are first loaded in a process of their own, with
limits, and asked. The first version of a name is released; a later one waits for `fairlead rollout` or
`fairlead promote`.

Exit status 3: the gate said no; nothing was published and what serves goes on serving."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, help="an ONNX file, or the directory of a SavedModel or of a model of MLflow's"
    )
    parser.add_argument("--name", required=True, help="the model that it becomes a version of")
    parser.add_argument("--labels", default="", help="names of the classes, by commas (default: of what serves)")
    parser.add_argument("--sample", type=Path, help="rows to ask it: an .npz with an array for each input")
    parser.add_argument("--timeout-s", type=float, default=60.0, help="seconds for its first load (default: 60)")
    parser.add_argument("--memory-mb", type=int, default=2048, help="MB for its first load (default: 2048)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "signing_key", "operator_libraries", "python_models", "python_model_interpreter")


def run(arguments: Namespace) -> int:
    done = import_model(
        settings_from(arguments),
        arguments.path,
        arguments.name,
        labels=tuple(label.strip() for label in arguments.labels.split(",") if label.strip()),
        sample=arguments.sample,
        limits=Limits(time_s=arguments.timeout_s, memory_bytes=arguments.memory_mb * 2**20),
    )
    if arguments.json:
        json_line(
            {
                "gate": done.report.to_json(),
                "signature": done.signature.to_json(),
                "version": done.version.version if done.version else None,
                "warnings": list(done.warnings),
                "stable": done.release.stable if done.release else None,
            }
        )
    else:
        print(done.shown)
    if done.version is None:
        say(f"nothing was published: {done.advice}")
        return 3
    said = "it is the first, and serves" if done.is_released else f"next: fairlead promote {arguments.name} VERSION"
    say(f"published {done.version}; {said.replace('VERSION', str(done.version.version))}")
    return 0
