"""Train, build and evaluate one after the other, as a user would, with a small random encoder."""

import csv
import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import BertConfig, BertModel

from client.cli import main
from ensemble.config import read_config
from serving.artefacts import missing_artefacts
from training import base_encoder, forest, metrics

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Small forests and few resamples: what is tested is that the parts fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "N_TREES", 5)
        patch.setattr(metrics, "N_RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=30522, max_position_embeddings=128, **sizes)).save_pretrained(folder / "encoder")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(base_encoder._packaged_folder() / name, folder / "encoder")
    return folder / "encoder"


def write_corpus(path: Path, first_source: int, seed: int) -> Path:
    rng = random.Random(seed)
    words = [a + b + c for a in "bdfgklmn" for b in ("a", "ee", "oi", "u") for c in ("n", "sk", "rt", "ly")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("excerpt", "target", "url"))
        for row in range(40):
            writer.writerow(
                (" ".join(rng.choices(words, k=60)), rng.gauss(), f"https://example.org/{first_source + row // 2}")
            )
    return path


@pytest.fixture(scope="module")
def seen(folder: Path) -> Path:
    return write_corpus(folder / "seen.csv", 0, 1)


@pytest.fixture(scope="module")
def unseen(folder: Path) -> Path:
    return write_corpus(folder / "unseen.csv", 100, 2)


@pytest.fixture(scope="module")
def training(folder, encoder, seen):
    return run("train", "--data", seen, "--encoder", encoder, "--bundle", folder / "bundle", "--layers", "2,1")


@pytest.fixture(scope="module")
def repository(folder, training) -> Path:
    for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
        (folder / "repository" / config.parent.name / "1").mkdir(parents=True)
        shutil.copy(config, folder / "repository" / config.parent.name)
    run("build", "--bundle", folder / "bundle", "--model-repository", folder / "repository")
    return folder / "repository"


def evaluated(folder: Path, repository: Path, data: Path, *arguments: str):
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    return run("evaluate", "--data", data, "--format", "json", *where, *arguments)


def test_training_writes_a_bundle_and_shows_its_model_card(folder, training):
    assert (folder / "bundle" / "README.md").read_text().strip() == training.stdout.strip()
    assert json.loads((folder / "bundle" / "bundle.json").read_text())["layers"] == [1, 2]


def test_building_writes_every_artefact_and_names_the_encoder(repository, encoder):
    assert missing_artefacts(repository) == []
    assert read_config(repository / "bert-large" / "config.pbtxt").parameters["encoder"].string_value == str(encoder)


def test_rows_trained_on_are_evaluated_out_of_fold_unless_told_otherwise(folder, repository, seen):
    by_itself, asked, as_built = (
        evaluated(folder, repository, seen, *split) for split in ((), ("--split", "url"), ("--split", "none"))
    )
    assert "5-fold by url" in json.loads(by_itself.stdout)["how"]
    assert by_itself.stdout == asked.stdout
    assert "as built" in json.loads(as_built.stdout)["how"]
    assert "40 of 40 rows are from sources trained on: these are not held-out figures." in as_built.stderr


def test_other_rows_are_scored_by_the_models_as_built(folder, repository, unseen):
    result = evaluated(folder, repository, unseen)
    told = json.loads(result.stdout)
    assert "as built" in told["how"]
    assert "trained on" not in result.stderr
    assert {"encoder", "forest", "blend"} <= set(told)


def test_the_blend_is_measured_at_the_weight_asked_for(folder, repository, unseen):
    told = json.loads(evaluated(folder, repository, unseen, "--bert-weight", "0").stdout)
    assert told["blend"]["rmse"] == pytest.approx(told["forest"]["rmse"])


def test_the_table_shows_the_figures_of_every_scorer(folder, repository, unseen):
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    result = run("evaluate", "--data", unseen, *where)
    assert all(
        each in result.stdout for each in ("encoder", "forest", "blend", "RMSE", "Spearman", "40 rows, 20 sources")
    )
