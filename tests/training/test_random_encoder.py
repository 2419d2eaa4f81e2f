"""An encoder of random weights in a copy of a repository."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.ensemble.config import read_config
from readability_triton.serving.repository import default_repository
from readability_triton.stages.encoder import load_encoder, predict
from readability_triton.stages.precision import precision_of
from readability_triton.training import random_encoder

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_encoder, "BERT_LARGE", TINY)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What the command makes of the project's repository."""
    folder = tmp_path / "random"
    ended = CliRunner().invoke(main, ["random-encoder", str(folder)])
    assert ended.exit_code == 0, ended.output
    return folder


def test_the_original_is_left_as_it_is(built: Path) -> None:
    file = built / "bert-large" / "1" / "model.pt"
    assert not file.is_symlink()
    assert file.stat().st_size != (default_repository() / "bert-large" / "1" / "model.pt").stat().st_size
    assert (built / "cuml" / "1" / "checkpoint.tl").samefile(default_repository() / "cuml" / "1" / "checkpoint.tl")


def test_it_scores_and_the_configuration_says_what_it_is(built: Path) -> None:
    file = built / "bert-large" / "1" / "model.pt"
    ids = np.tile(np.arange(1, 41), (3, 1)).astype(np.int64)
    scores = predict(load_encoder(file), ids, np.ones_like(ids))
    assert scores.shape == (3, 1)
    assert np.isfinite(scores).all()
    assert precision_of(file) in ("bf16", "int8")
    parameters = read_config(built / "bert-large" / "config.pbtxt").parameters
    assert parameters["encoder"].string_value == "random weights, 2 layers of 32"


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    first = tmp_path / "first"
    (first / "bert-large" / "1").mkdir(parents=True)
    config = default_repository() / "bert-large" / "config.pbtxt"
    (first / "bert-large" / "config.pbtxt").write_bytes(config.read_bytes())
    file = first / "bert-large" / "1" / "model.pt"
    weights = []
    for _ in range(2):
        random_encoder.put_random_encoder(first, "fp32")
        ids = np.arange(1, 9, dtype=np.int64)[None]
        weights.append(predict(load_encoder(file), ids, np.ones_like(ids)))
    assert torch.equal(*map(torch.from_numpy, weights))
