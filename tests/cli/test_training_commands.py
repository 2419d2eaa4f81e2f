"""Train, build and evaluate one after the other, as a user would, with a small random encoder."""

import csv
import json
import lzma
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch
from click.testing import CliRunner, Result
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel

from readability_triton.cli.main import main
from readability_triton.cli.train import train
from readability_triton.ensemble.config import read_config
from readability_triton.serving.artefacts import missing_artefacts
from readability_triton.stages.precision import Precision, precision_of
from readability_triton.training import base_encoder, forest, metrics
from readability_triton.training.build import best_precision
from readability_triton.training.fine_tuning import FineTuning

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
METRICS = ("rmse", "pearson", "spearman")
SETTINGS = ("--layers", "2,1", "--epochs", "1", "--jobs", "1")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def run(*arguments: str | Path) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def assert_failed(result: Result, message: str) -> None:
    """Nothing on standard output, and on standard error one line after those of progress."""
    assert result.exit_code == 1
    assert result.stdout == ""
    progress, found, output = result.stderr.rpartition("readability: ")
    assert found
    assert "readability: " not in progress
    assert len(output.splitlines()) == 1
    assert message in output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Small forests, few resamples, one thread: what is tested is that the parts fit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "N_TREES", 5)
        patch.setattr(metrics, "N_RESAMPLES", 50)
        yield
    torch.set_num_threads(threads)


def save_with_tokenizer(model: BertModel | MPNetModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(base_encoder._packaged_folder() / name, folder)
    return folder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertModel(BertConfig(vocab_size=30522, max_position_embeddings=128, **sizes))
    return save_with_tokenizer(model, folder / "encoder")


@pytest.fixture(scope="module")
def teacher(folder: Path) -> Path:
    torch.manual_seed(1)
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    return save_with_tokenizer(MPNetModel(MPNetConfig(vocab_size=30522, **sizes)), folder / "large-teacher")


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


def mixed(path: Path, *corpora: tuple[Path, slice]) -> Path:
    """Rows of several corpora in one file."""
    rows = [line for corpus, part in corpora for line in corpus.read_text().splitlines()[1:][part]]
    path.write_text("\n".join(["excerpt,target,url", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def command(encoder: Path, seen: Path) -> tuple[str | Path, ...]:
    """All of the command but where it writes."""
    return ("train", "--data", seen, "--encoder", encoder, *SETTINGS)


@pytest.fixture(scope="module")
def training(folder: Path, command) -> Result:
    return run(*command, "--run", folder / "run", "--bundle", folder / "bundle")


@pytest.fixture(scope="module")
def empty_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
        (root / config.parent.name / "1").mkdir(parents=True)
        shutil.copy(config, root / config.parent.name)
    return root


@pytest.fixture(scope="module")
def repository(folder: Path, training: Result, empty_repository: Path) -> Path:
    repository = shutil.copytree(empty_repository, folder / "repository")
    run("build", "--bundle", folder / "bundle", "--model-repository", repository, "--precision", "fp32")
    return repository


def evaluated(folder: Path, repository: Path, data: Path, *arguments: str) -> Result:
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    return run("evaluate", "--data", data, "--format", "json", *where, *arguments)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def log(run: Path) -> list[str]:
    """Lines of `log.csv` without the last column, seconds."""
    return [line.rpartition(",")[0] for line in (run / "log.csv").read_text().splitlines()]


def test_the_help_of_training_shows_examples_of_it():
    output = run("train", "--help").stdout
    examples = output.partition("Examples:")[2].strip().splitlines()
    assert len(examples) >= 4
    for option in ("--teacher", "--encoder", "--device", "--epochs 0"):
        assert any(option in example for example in examples)
    known = {name for parameter in train.params for name in parameter.opts}
    used = {word for example in examples if " train " in example for word in example.split() if word.startswith("--")}
    assert used < known


def test_training_writes_a_bundle_and_shows_its_model_card(folder, training):
    assert (folder / "bundle" / "README.md").read_text().strip() == training.stdout.strip()
    assert json.loads((folder / "bundle" / "bundle.json").read_text())["layers"] == [1, 2]


def test_training_keeps_a_log_of_every_fit_and_draws_it(folder, training):
    with (folder / "run" / "log.csv").open(newline="") as file:
        fits = {row["fit"] for row in csv.DictReader(file)}
    assert fits == {"all-rows", *(f"fold-{number}-of-5" for number in range(1, 6))}
    assert "<svg" in (folder / "run" / "curves.svg").read_text()
    assert str(folder / "run" / "log.csv") in training.stderr.replace("\n", "")


def test_the_same_command_again_goes_on_and_gives_the_same(folder, command, training):
    before = contents(folder / "bundle")
    again = run(*command, "--run", folder / "run", "--bundle", folder / "bundle")
    assert "Going on with the run in" in again.stderr
    assert "Going on" not in training.stderr
    assert "epoch 1 of 1" in training.stderr
    assert "epoch 1 of 1" not in again.stderr
    assert again.stdout == training.stdout
    assert contents(folder / "bundle") == before


def test_stopped_by_the_keyboard_the_same_command_goes_on_and_gives_the_same(folder, command, training, tmp_path):
    left = iter(range(2))
    run_epoch = FineTuning.run_epoch

    def stopped(tuning: FineTuning, on_progress):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return run_epoch(tuning, on_progress)

    where = ("--run", tmp_path / "run", "--bundle", tmp_path / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuning, "run_epoch", stopped)
        first = invoke(*command, *where)
    assert first.exit_code != 0
    assert not (tmp_path / "bundle").exists()
    second = run(*command, *where)
    assert second.stdout == training.stdout
    assert contents(tmp_path / "bundle") == contents(folder / "bundle")
    assert log(tmp_path / "run") == log(folder / "run")
    assert second.stderr.count("epoch 1 of 1") < training.stderr.count("epoch 1 of 1")


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (("--seed", "1"), "seed: 0 there, 1 now"),
        (("--epochs", "2"), "epochs: "),
        (("--learning-rate", "0.5"), "learning_rate: "),
        (("--layers", "1"), "layers: "),
    ],
    ids=str,
)
@pytest.mark.usefixtures("training")
def test_other_settings_in_the_same_folder_are_refused_with_their_name(folder, command, tmp_path, option, name):
    kept = contents(folder / "run")
    result = invoke(*command, *option, "--run", folder / "run", "--bundle", tmp_path / "bundle")
    assert_failed(result, "holds a run with other settings")
    assert name in result.stderr
    assert not (tmp_path / "bundle").exists()
    assert contents(folder / "run") == kept


@pytest.mark.usefixtures("training")
def test_other_data_or_another_encoder_in_the_same_folder_are_refused(folder, command, unseen, teacher, tmp_path):
    where = ("--run", folder / "run", "--bundle", tmp_path / "bundle")
    assert_failed(invoke(*command, "--data", unseen, *where), "data_sha256: ")
    assert_failed(invoke(*command, "--teacher", teacher, *where), "teacher_sha256: None there")


@pytest.mark.parametrize(
    "mistake",
    [("--layers", "9"), ("--teacher", "/no/such/folder")],
    ids=str,
)
def test_a_mistake_that_is_refused_does_not_stand_in_the_way_of_the_right_command(command, tmp_path, mistake):
    where = ("--run", tmp_path / "run", "--bundle", tmp_path / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert invoke(*command, *mistake, *where).exit_code == 1
    assert "Going on" not in run(*command, *where).stderr


@pytest.fixture(scope="module")
def taught(folder: Path, command, teacher: Path) -> Result:
    return run(*command, "--teacher", teacher, "--run", folder / "taught-run", "--bundle", folder / "taught")


def test_training_with_a_teacher_says_so_in_the_card_and_learns_something_else(folder, training, taught):
    assert "ridge regression on the frozen layers of `large-teacher`" in taught.stdout
    assert "| targets | the human scores |" in training.stdout
    assert "encoding with the teacher" in taught.stderr
    assert (folder / "taught" / "encoder.safetensors.xz").read_bytes() != (
        folder / "bundle" / "encoder.safetensors.xz"
    ).read_bytes()


def test_the_teacher_is_asked_once(folder, command, teacher, taught):
    where = ("--run", folder / "taught-run", "--bundle", folder / "taught")
    again = run(*command, "--teacher", teacher, *where)
    assert "encoding with the teacher" not in again.stderr
    assert again.stdout == taught.stdout


def test_a_teacher_that_is_none_is_one_line(command, tmp_path):
    where = ("--run", tmp_path / "run", "--bundle", tmp_path / "bundle")
    assert_failed(invoke(*command, "--teacher", tmp_path, *where), "cannot be a teacher")
    assert not (tmp_path / "bundle").exists()


def test_without_an_epoch_the_encoder_stays_frozen(command, tmp_path):
    result = run(*command, "--epochs", "0", "--run", tmp_path / "run", "--bundle", tmp_path / "bundle")
    assert "| fine-tuned | nothing: the encoder is frozen" in result.stdout
    assert "epoch 1" not in result.stderr


def test_the_licence_of_the_data_is_in_the_card(command, folder, training, tmp_path):
    where = ("--run", folder / "run", "--bundle", tmp_path / "bundle")
    assert "was not stated" in training.stdout
    assert "Under the moon." in run(*command, *where, "--data-licence", "Under the moon.").stdout


def test_building_writes_every_artefact_and_names_the_encoder(repository, encoder):
    assert missing_artefacts(repository) == []
    assert read_config(repository / "bert-large" / "config.pbtxt").parameters["encoder"].string_value == str(encoder)


@pytest.mark.parametrize("precision", ["auto", *get_args(Precision)])
@pytest.mark.usefixtures("training")
def test_building_in_a_precision_says_which(folder, empty_repository, encoder, tmp_path, precision):
    repository = shutil.copytree(empty_repository, tmp_path / "repository")
    option = () if precision == "auto" else ("--precision", precision)
    result = run("build", "--bundle", folder / "bundle", "--model-repository", repository, *option)
    chosen = best_precision() if precision == "auto" else precision
    assert precision_of(repository / "bert-large" / "1" / "model.pt") == chosen
    assert f"{encoder} ({chosen}) in the slot bert-large" in result.stderr.replace("\n", " ").replace("  ", " ")


def test_rows_trained_on_are_evaluated_out_of_fold_by_default(folder, repository, seen):
    by_itself, asked, as_built = (
        evaluated(folder, repository, seen, *split) for split in ((), ("--split", "url"), ("--split", "none"))
    )
    assert "5-fold by url" in json.loads(by_itself.stdout)["how"]
    assert by_itself.stdout == asked.stdout
    assert "as built" in json.loads(as_built.stdout)["how"]
    assert "40 of 40 rows are from sources trained on: these are not held-out figures." in as_built.stderr


def test_out_of_fold_figures_are_those_of_the_model_card(folder, repository, seen, training):
    output = json.loads(evaluated(folder, repository, seen).stdout)
    for name in ("encoder", "forest", "blend"):
        cells = (f"{f['value']:.3f} ({f['low']:.3f} to {f['high']:.3f})" for f in map(output[name].get, METRICS))
        assert f"| {name} | {' | '.join(cells)} |" in training.stdout


def test_out_of_fold_figures_need_neither_the_encoder_nor_a_repository_that_is_built(
    folder, repository, empty_repository, seen
):
    assert evaluated(folder, empty_repository, seen).stdout == evaluated(folder, repository, seen).stdout


def test_a_part_of_the_rows_trained_on_is_evaluated_out_of_fold_too(folder, repository, seen, tmp_path):
    output = json.loads(evaluated(folder, repository, mixed(tmp_path / "part.csv", (seen, slice(10, 30)))).stdout)
    assert "20 rows, 10 sources; 5-fold by url" in output["how"]


def test_other_rows_are_scored_by_the_models_as_built(folder, repository, unseen):
    result = evaluated(folder, repository, unseen)
    output = json.loads(result.stdout)
    assert "as built" in output["how"]
    assert "trained on" not in result.stderr
    assert {"encoder", "forest", "blend"} <= set(output)


def test_rows_of_both_kinds_are_scored_as_built_with_a_word_of_warning(folder, repository, seen, unseen, tmp_path):
    both = mixed(tmp_path / "both.csv", (seen, slice(0, 6)), (unseen, slice(0, 20)))
    result = evaluated(folder, repository, both)
    assert "as built" in json.loads(result.stdout)["how"]
    assert "6 of 26 rows are from sources trained on" in result.stderr


def test_new_rows_of_sources_trained_on_are_scored_as_built_with_a_word_of_warning(folder, repository, tmp_path):
    result = evaluated(folder, repository, write_corpus(tmp_path / "new.csv", 0, 9))
    assert "as built" in json.loads(result.stdout)["how"]
    assert "40 of 40 rows are from sources trained on" in result.stderr


def test_rows_without_out_of_fold_scores_are_refused_where_such_are_asked_for(
    folder, repository, seen, unseen, tmp_path
):
    both = mixed(tmp_path / "both.csv", (seen, slice(0, 6)), (unseen, slice(0, 20)))
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    result = invoke("evaluate", "--data", both, "--split", "url", *where)
    assert_failed(result, "20 of 26 rows, the first of them row 7, were not trained on")


@pytest.mark.usefixtures("training")
def test_rows_to_be_scored_as_built_need_a_repository_that_is_built(folder, empty_repository, unseen):
    where = ("--bundle", folder / "bundle", "--model-repository", empty_repository)
    result = invoke("evaluate", "--data", unseen, *where)
    assert result.exit_code == 4
    assert result.stderr.startswith("readability: not built: ")


def test_the_blend_is_measured_at_the_weight_asked_for(folder, repository, unseen):
    output = json.loads(evaluated(folder, repository, unseen, "--bert-weight", "0").stdout)
    assert output["blend"]["rmse"] == pytest.approx(output["forest"]["rmse"])


def test_the_table_shows_the_figures_of_every_scorer(folder, repository, unseen):
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    result = run("evaluate", "--data", unseen, *where)
    assert all(
        each in result.stdout for each in ("encoder", "forest", "blend", "RMSE", "Spearman", "40 rows, 20 sources")
    )


@pytest.fixture
def yardstick_files(tmp_path: Path) -> tuple[Path, Path]:
    pairs, levels = tmp_path / "articles.csv", tmp_path / "sentences.csv"
    pairs.write_text("harder,easier\nA considerable residence stood.,A house stood.\nWe ceased.,We stop.\n")
    levels.write_text("source,sentence,level\nbooks,Go.,1\nbooks,We go home.,2\nbooks,We went home late.,3\n")
    return pairs, levels


def test_yardsticks_are_measured_for_every_scorer(folder, repository, unseen, yardstick_files):
    pairs, levels = yardstick_files
    arguments = ("--yardsticks", "--pairs", pairs, "--levels", levels)
    reported = {
        each["name"]: each
        for each in json.loads(evaluated(folder, repository, unseen, *arguments).stdout)["yardsticks"]
    }
    assert reported["pairs in order, articles"]["n"] == 2
    assert reported["rank correlation with levels, books"]["n"] == 3
    assert reported["RMSE, first 5 sentences"]["n"] == 40
    for figure in reported.values():
        assert set(figure) == {"name", "n", "encoder", "forest", "blend"}
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    shown = run("evaluate", "--data", unseen, "--pairs", pairs, *where).stdout
    assert "pairs in order, articles" in shown


def test_a_file_of_pairs_of_another_kind_is_one_line(folder, repository, unseen, yardstick_files):
    where = ("--bundle", folder / "bundle", "--model-repository", repository)
    result = invoke("evaluate", "--data", unseen, "--pairs", yardstick_files[1], *where)
    assert_failed(result, "columns harder and easier")


@pytest.fixture
def own_bundle(folder: Path, training: Result, tmp_path: Path) -> Path:
    """A copy of the trained bundle that a test may change."""
    return shutil.copytree(folder / "bundle", tmp_path / "bundle")


def test_a_refitted_forest_is_written_into_the_bundle_and_built_from_there(
    own_bundle, empty_repository, seen, tmp_path
):
    before = contents(own_bundle)
    result = run("refit", "--data", seen, "--bundle", own_bundle, "--seed", "7")
    assert f"Wrote {own_bundle}" in "".join(result.stderr.splitlines())
    after = contents(own_bundle)
    assert before["encoder.safetensors.xz"] == after["encoder.safetensors.xz"]
    repository = shutil.copytree(empty_repository, tmp_path / "repository")
    run("build", "--bundle", own_bundle, "--model-repository", repository, "--precision", "fp32")
    built = (repository / "cuml" / "1" / "checkpoint.tl").read_bytes()
    assert built == lzma.decompress(after["forest.tl.xz"]) != lzma.decompress(before["forest.tl.xz"])


def test_a_refit_on_rows_that_were_not_trained_on_is_refused_and_nothing_written(own_bundle, unseen):
    before = contents(own_bundle)
    result = invoke("refit", "--data", unseen, "--bundle", own_bundle)
    assert_failed(result, "40 of 40 rows, the first of them row 1, were not trained on")
    assert contents(own_bundle) == before


def test_a_refit_of_what_is_no_bundle_or_on_no_corpus_is_one_line(own_bundle, seen, tmp_path):
    assert_failed(invoke("refit", "--data", seen, "--bundle", tmp_path), "No such file or directory")
    (tmp_path / "corpus.csv").write_text("excerpt,target\ntext,1\n")
    assert_failed(invoke("refit", "--data", tmp_path / "corpus.csv", "--bundle", own_bundle), "no column url")
