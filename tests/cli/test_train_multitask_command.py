"""`readability train-multitask` with a tiny random encoder, on a user's own scores and nothing else."""

import csv
import itertools
import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from transformers import BertConfig, BertModel

from readability_triton.cli.main import main
from readability_triton.training import base_encoder, forest, metrics
from readability_triton.training.bundle import FILES

pytestmark = pytest.mark.slow

WORDS = ["".join(parts) for parts in itertools.product("bdfgklmnprst", ("a", "ee", "oi", "u"), ("n", "sk", "rt", "ly"))]
RECIPE = """
seeds = 1
pairs = 20
[student.layers]
last = 2
frozen = 0
pooled = [1, 2]
[student.fit]
steps = 3
[teacher.layers]
last = 2
frozen = 0
pooled = [2]
[teacher.fit]
steps = 2
"""


@pytest.fixture(scope="module", autouse=True)
def small():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "N_TREES", 3)
        patch.setattr(metrics, "N_RESAMPLES", 20)
        yield
    torch.set_num_threads(threads)


def encoder(folder: Path, hidden: int) -> Path:
    torch.manual_seed(hidden)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    packaged = base_encoder._packaged_folder()
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(packaged / name, folder)
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str | Path]:
    folder = tmp_path_factory.mktemp("own")
    rng = random.Random(3)
    with (folder / "mine.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["excerpt", "target", "url"])
        for row in range(40):
            sentences = (" ".join(rng.choices(WORDS, k=8)) for _ in range(5))
            lines.writerow([". ".join(map(str.capitalize, sentences)) + ".", rng.gauss(0, 1), f"u{row % 20}"])
    (folder / "recipe.toml").write_text(RECIPE)
    bert = encoder(folder / "bert", 16)
    encoder(folder / "teacher", 24)
    return ["train-multitask", "--data", folder / "mine.csv", "--encoder", bert, "--recipe", folder / "recipe.toml"]


def few_words(folder: Path) -> Path:
    """A corpus without the words that the forest's features need."""
    path = folder / "few.csv"
    path.write_text("excerpt,target,url\n" + "".join(f"go home red cat,{row},u{row}\n" for row in range(9)))
    return path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def trained(command, tmp_path_factory) -> tuple[Path, Path, Result]:
    run, bundle = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("bundle")
    run.rmdir()
    result = invoke(*command, "--run", run, "--bundle", bundle)
    assert result.exit_code == 0, result.output
    return run, bundle, result


def test_own_scores_alone_make_a_bundle_with_card_recipe_and_log(trained):
    _, bundle, result = trained
    assert {path.name for path in bundle.iterdir()} == {*FILES, "README.md", "recipe.toml", "figures.jsonl"}
    assert result.stdout == (bundle / "README.md").read_text() + "\n"
    assert "Made by `readability train-multitask`." in result.stdout
    assert "| teachers | none |" in result.stdout
    assert "| RMSE, first 1 sentence, out of fold |" in result.stdout
    assert "students: student-fold-1-of-5, steps" in result.stderr
    assert (bundle / "recipe.toml").read_text() == RECIPE
    log = [json.loads(line) for line in (bundle / "figures.jsonl").read_text().splitlines()]
    assert [line["fit"] for line in log[:5]] == [f"student of fold {fold}" for fold in range(1, 6)]
    assert 0 <= log[-1]["blend_weight"] <= 1


def test_the_same_command_again_computes_nothing_and_gives_the_same(trained, command, tmp_path):
    run, _, result = trained
    again = invoke(*command, "--run", run, "--bundle", tmp_path)
    assert "Going on with the run in" in again.stderr
    assert "student-fold" not in again.stderr
    assert again.stdout == result.stdout


def test_kept_scores_are_the_yardsticks_without_a_repository_that_is_built(trained, command):
    _, bundle, _ = trained
    result = invoke(
        *("evaluate", "--data", command[2], "--bundle", bundle, "--blend-weights", "0,0.5,1", "--format", "json")
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"0", "0.5", "1"} <= set(found)
    assert [each["name"] for each in found["yardsticks"]] == ["cost by all figures"]
    errors = [found[name]["rmse"]["value"] for name in ("0", "0.5", "1")]
    costs = [found["yardsticks"][0][name] for name in ("0", "0.5", "1")]
    assert costs == pytest.approx([error / min(errors) - 1 for error in errors])


def test_a_weight_that_is_none_is_refused(trained, command):
    for wrong in ("a", "0.5,2"):
        assert invoke("evaluate", "--data", command[2], "--bundle", trained[1], "--blend-weights", wrong).exit_code == 2


def test_a_teacher_labels_the_texts(command, tmp_path):
    teacher = Path(command[2]).parent / "teacher"
    result = invoke(*command, "--teacher", teacher, "--run", tmp_path / "run", "--bundle", tmp_path / "bundle")
    assert result.exit_code == 0, result.output
    assert "10 fits of `teacher`, layers 1 to 2, 2 steps" in result.stdout
    assert "teachers: teacher-10-of-10, texts scored" in result.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (lambda folder: ("--prose", folder / "mine.csv"), "--prose needs --teacher"),
        (lambda folder: ("--levels", folder / "mine.csv"), "no column sentence"),
        (lambda folder: ("--pairs", folder / "mine.csv"), "columns harder and easier"),
        (lambda folder: ("--recipe", folder / "mine.csv"), "mine.csv: "),
        (lambda folder: ("--teacher", folder), "holds no weights"),
        (lambda folder: ("--data", few_words(folder)), "the corpus has 4 distinct words"),
        (lambda folder: ("--recipe", Path("training/bundles/minilm/recipe.toml")), "layers"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(command, tmp_path, option, message):
    result = invoke(
        *command, *option(Path(command[2]).parent), "--run", tmp_path / "run", "--bundle", tmp_path / "bundle"
    )
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
