"""What computes is what was asked for, or is refused by name; it is never guessed."""

from __future__ import annotations

import doctest
from pathlib import Path

import onnxruntime
import pytest

from fairlead.app.models import check_models
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes import providers
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.runtimes.providers import Providers
from fairlead.store.writable_store import WritableStore
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.testing import publish_digit


def test_a_provider_that_is_not_installed_is_said_before_anything_is_served(tmp_path: Path) -> None:
    """With what to install, and what there is."""
    with pytest.raises(FairleadError, match=r"has no provider tensorrt, cuda; it has .*CPUExecutionProvider") as caught:
        check_models(Settings.read({"FAIRLEAD_PROVIDERS": "tensorrt, cuda, cpu"}, home=str(tmp_path)))

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "pip install onnxruntime-gpu" in caught.value.hint


def test_a_provider_that_nobody_knows_is_refused() -> None:
    """As any setting is that means nothing."""
    with pytest.raises(FairleadError, match="FAIRLEAD_PROVIDERS"):
        Settings.read({"FAIRLEAD_PROVIDERS": "npu"})


def test_a_provider_that_does_not_start_is_not_replaced_in_silence(store: WritableStore) -> None:
    """ONNX Runtime leaves out what has no driver, and answers on the CPU at a fraction of the speed."""
    session = onnxruntime.InferenceSession(
        str(publish_digit(store, "digits", 3).directory / "model.onnx"), providers=["CPUExecutionProvider"]
    )

    with pytest.raises(FairleadError, match=r"provider cuda does not start on this host; CPUExecutionProvider would"):
        Providers(names=("cuda", "cpu")).check_used(session)


def test_the_order_and_the_limit_reach_the_runtime() -> None:
    """The limit is for GPUs alone."""
    options = Providers(names=("tensorrt", "cuda", "cpu"), gpu_memory_bytes=2**30).options

    assert [name for name, _ in options] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert [sorted(told.values(), key=str) for _, told in options] == [[2**30], [2**30, "kSameAsRequested"], []]
    assert Providers(names=("cuda",)).options == [("CUDAExecutionProvider", {})]


def test_what_computes_is_told(store: WritableStore) -> None:
    """By the loaded model, and by a metric for as long as the version is loaded."""
    model = OnnxLoader(providers=Providers()).load(publish_digit(store, "digits", 3).directory)
    assert model.provider == "CPUExecutionProvider"

    instruments = Instruments()
    metrics = LoadMetrics(instruments)
    (told,) = [family for family in instruments.families if family.name == "fairlead_model_provider"]
    metrics.loaded("digits", 1, 0.1, warmup_s=0.1, memory_bytes=0, provider=model.provider)
    assert list(instruments.counted(told)) == [("digits", "1", "CPUExecutionProvider")]
    metrics.unloaded("digits", 1)
    assert not instruments.counted(told)


def test_the_examples_are_true() -> None:
    """The docstring's."""
    assert doctest.testmod(providers).failed == 0
