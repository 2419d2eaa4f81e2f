"""The orchestrator's parameters: defaults by placement, and errors that name what is wrong."""

import math

import pytest

from readability_triton.bls.settings import Limits, Settings


def test_a_pipeline_on_the_cpu_folds_its_small_stages_and_one_on_a_gpu_calls_them() -> None:
    assert {"preprocess", "cuml"} <= Settings.read({}, on_gpu=False).fold
    assert Settings.read({}, on_gpu=True).fold == frozenset()


def test_auto_is_as_good_as_nothing() -> None:
    names = ("fold", "chunk_rows", "chunks_in_flight", "slice_rows", "calls_in_flight", "max_queued_rows", "ageing_ms")
    assert Settings.read(dict.fromkeys(names, "auto"), False) == Settings.read({}, False)


def test_values_are_read() -> None:
    parameters = {
        "fold": "preprocess, cuml",
        "slice_rows": "bert-large=2, *=16",
        "calls_in_flight": "3",
        "max_wait_ms": "1500",
        "policy": "deadline",
    }
    settings = Settings.read(parameters, on_gpu=False)
    assert settings.fold == {"preprocess", "cuml"}
    assert settings.limits("bert-large") == Limits(2, 3)
    assert settings.limits("postprocess") == Limits(16, 3)
    assert settings.limits("cuml") == Limits(16, 1)
    assert settings.max_wait_s == 1.5
    assert Settings.read({}, False).max_wait_s == math.inf


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fold", "bert-large", "fold is auto, none, or some of preprocess, cuml, postprocess, not 'bert-large'"),
        ("chunk_rows", "0", "chunk_rows is auto or a whole number of at least 1, not '0'"),
        ("slice_rows", "cuml=many", "slice_rows is auto or a whole number of at least 1, not 'many'"),
        ("max_wait_ms", "soon", "max_wait_ms is a positive number of milliseconds, not 'soon'"),
        ("ageing_ms", "-1", "ageing_ms is a positive number of milliseconds, not '-1'"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.read({name: value}, on_gpu=False)
