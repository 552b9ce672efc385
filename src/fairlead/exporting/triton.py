"""Triton: a model repository, for its ONNX Runtime backend or, by another name of the configuration, its Python one."""

from __future__ import annotations

from pathlib import Path

from fairlead.exporting.onnx_file import answers_of_onnx, load_onnx
from fairlead.exporting.target import Source, proven
from fairlead.exporting.triton_config import LABELS_FILE, label_lines, triton_config
from fairlead.servable.runtimes.onnx import MODEL_FILE

__all__ = ["write_triton"]

_PYTHON_MODEL = Path(__file__).with_name("triton_model.py")


def write_triton(source: Source, target: Path) -> float:
    """Write a repository with the version in it, and ask the file that its backends run; see `Target.write`.

    Raises:
        FairleadError: what `load_onnx` and `triton_config` raise; FAILED_PRECONDITION when the file answers something
            else.
    """
    manifest = source.manifest
    model = target / manifest.model
    version, configs = model / str(manifest.version), model / "configs"
    for folder in (version, configs):
        folder.mkdir(parents=True)
    (model / "config.pbtxt").write_text(triton_config(manifest, "onnxruntime"), encoding="utf-8")
    (configs / "python.pbtxt").write_text(triton_config(manifest, "python"), encoding="utf-8")
    if labels := label_lines(manifest):
        (model / LABELS_FILE).write_text(labels, encoding="utf-8")
    (version / "model.py").write_text(_PYTHON_MODEL.read_text(encoding="utf-8"), encoding="utf-8")
    path = version / MODEL_FILE
    path.write_bytes(load_onnx(source).SerializeToString())
    return proven(source, answers_of_onnx(path, source), "the ONNX file")
