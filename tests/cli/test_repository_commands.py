"""Commands on a repository and their refusals: graph, doctor, build, bench, and bad corpora for train and evaluate."""

import shutil
import zipfile
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from readability_triton.cli.doctor import slot
from readability_triton.cli.main import main
from readability_triton.stages.features import FeatureSpec
from readability_triton.training.base_encoder import DEFAULT_ENCODER, DEFAULT_SHA256
from readability_triton.training.bundle import FILES, Bundle, Facts, OutOfFold
from readability_triton.training.config_parameters import set_parameters

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path):
    return CliRunner().invoke(main, list(map(str, arguments)))


def assert_failed(result, exit_code: int, message: str) -> None:
    """One line on standard error, nothing on standard output."""
    assert result.exit_code == exit_code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("readability: ")
    assert message in line


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The project's configs, nothing built."""
    for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
        (tmp_path / "repository" / config.parent.name / "1").mkdir(parents=True)
        shutil.copy(config, tmp_path / "repository" / config.parent.name)
    return tmp_path / "repository"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for the default encoder that no training made: all of it is there, none of it means anything."""
    rng = np.random.default_rng(0)
    Bundle(
        facts=Facts(DEFAULT_ENCODER, DEFAULT_SHA256, [3], 0.5, [float(step) for step in range(21)], [[0.0, 0.0]] * 10),
        changes={"head.weight": rng.normal(size=(1, 384)).astype(np.float32), "head.bias": np.zeros(1, np.float32)},
        forest=rng.bytes(1000),
        features=FeatureSpec.fit([" ".join(f"word{number}" for number in range(200))]),
        trained_urls=frozenset({b"12345678"}),
        out_of_fold=OutOfFold(np.arange(50, dtype=np.uint64), *rng.normal(size=(2, 50)).astype(np.float32)),
    ).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("style", ["text", "mermaid"])
def test_graph_draws_the_projects_ensemble_with_every_model_and_finds_no_problem(style):
    result = run("graph", "--format", style)
    assert result.exit_code == 0
    assert result.stderr == ""
    for name in ("preprocess", "bert-large", "cuml", "postprocess", "bert_large_score", "SCORE"):
        assert name in result.stdout


def test_graph_draws_what_has_problems_and_shows_them_on_standard_error(repository):
    config = repository / "ensemble_all" / "config.pbtxt"
    config.write_text(config.read_text().replace('value: "cuml_score"', 'value: "cuml_scores"', 1))
    result = run("graph", "--model-repository", repository)
    assert result.exit_code == 1
    assert "cuml_scores" in result.stdout
    assert all(line.startswith("problem: ") for line in result.stderr.splitlines())
    assert "cuml_score" in result.stderr


@pytest.mark.parametrize("name", ["no_such_model", "bls_pipeline"])
def test_graph_of_what_is_no_ensemble_names_those_that_are(name):
    assert_failed(run("graph", name), 1, f"no ensemble {name} in {ROOT / 'model_repository'}; there: ensemble_all")


def test_graph_of_a_folder_without_models_says_so(tmp_path):
    assert_failed(run("graph", "--model-repository", tmp_path), 1, "no */config.pbtxt")


@pytest.fixture
def no_triton(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("readability_triton.serving.runtime.CONTAINER_EXECUTABLE", tmp_path / "tritonserver")
    monkeypatch.setattr("readability_triton.serving.runtime.importlib.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("no_triton")
def test_doctor_marks_what_is_missing_and_says_what_to_do(repository):
    result = run("doctor", "--model-repository", repository)
    assert result.exit_code == 1
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert {line[1] for line in lines if line[0] == "✗"} == {"Triton", "artefacts"}
    assert result.stdout.count("→") == 2
    assert "run `readability build`" in result.stdout
    assert result.stderr == ""


def set_encoder(repository: Path, **parameters: str) -> None:
    set_parameters(repository / "bert-large" / "config.pbtxt", parameters)


def test_doctor_says_which_encoder_is_in_the_slot(repository):
    sha256 = "53aa51172d142c89d9012cce15ae4d6c"
    sha256 = "53aa51172d142c89d9012cce15ae4d6c"
    set_encoder(repository, encoder="some/encoder", encoder_layers="3,4,5", encoder_sha256=sha256)
    assert slot(repository).found == "holds some/encoder, layers 3,4,5, sha256 53aa51172d14…"
    assert slot(repository).advice is None


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_doctor_says_what_the_encoder_in_the_slot_computes_in(repository, precision):
    module = torch.jit.script(torch.nn.Identity())
    torch.jit.save(module, repository / "bert-large" / "1" / "model.pt", _extra_files={"precision": precision})
    set_encoder(repository, encoder="some/encoder", encoder_layers="3", encoder_sha256="0" * 64)
    assert slot(repository).found == f"holds some/encoder, layers 3, {precision}, sha256 {'0' * 12}…"


def test_doctor_does_not_stumble_over_a_model_without_a_precision(repository):
    model = repository / "bert-large" / "1" / "model.pt"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    assert ", unknown, " in slot(repository).found
    model.write_bytes(b"cut")
    assert ", unknown, " not in slot(repository).found
    assert slot(repository).found.startswith("holds ")


def test_doctor_says_when_the_slot_is_empty_or_unreadable(repository, tmp_path):
    config = repository / "bert-large" / "config.pbtxt"
    config.write_text('name: "bert-large"')
    assert slot(repository).advice == "run `readability build`"
    config.write_text("name: ")
    assert str(config) in slot(repository).advice
    assert slot(tmp_path / "absent").found == "not readable"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FILES)
def test_build_of_a_bundle_with_a_missing_file_names_it(repository, bundle, name):
    (bundle / name).unlink()
    assert_failed(run("build", "--bundle", bundle, "--model-repository", repository), 1, name)


def test_build_of_a_bundle_for_other_weights_says_whose(repository, bundle):
    facts = bundle / "bundle.json"
    facts.write_text(facts.read_text().replace("53aa5117", "00000000"))
    result = run("build", "--bundle", bundle, "--model-repository", repository)
    assert_failed(result, 1, "the bundle was trained with 00000000")


@pytest.mark.parametrize("name", [name for name in FILES if name != "trained_urls.bin"])
def test_build_of_a_damaged_bundle_is_one_line_and_no_traceback(repository, bundle, name):
    (bundle / name).write_bytes((bundle / name).read_bytes()[:200])
    before = contents(repository)
    assert_failed(run("build", "--bundle", bundle, "--model-repository", repository), 1, f"{bundle} is not a bundle")
    assert contents(repository) == before


def test_build_of_a_bundle_whose_forest_another_treelite_wrote_is_no_traceback(repository, bundle):
    before = contents(repository)
    result = run("build", "--bundle", bundle, "--model-repository", repository, "--precision", "fp32")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("readability: ")
    assert contents(repository) == before


def test_build_in_a_precision_that_there_is_not_is_bad_usage(repository, bundle):
    result = run("build", "--bundle", bundle, "--model-repository", repository, "--precision", "fp16")
    assert result.exit_code == 2
    assert "'auto', 'fp32', 'bf16', 'int8'" in result.stderr


def test_evaluate_with_a_bundle_of_another_kind_is_one_line(repository, bundle, tmp_path):
    (tmp_path / "corpus.csv").write_text("excerpt,target,url\ntext,1,u\n")
    (bundle / "out_of_fold.safetensors").rename(bundle / "head.safetensors")
    where = ("--bundle", bundle, "--model-repository", repository)
    assert_failed(run("evaluate", "--data", tmp_path / "corpus.csv", *where), 1, "out_of_fold.safetensors")


def test_bench_on_a_repository_that_is_not_built_says_what_to_run(repository):
    assert_failed(run("bench", "--model-repository", repository), 4, "run `readability build`")


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"excerpt,target\ntext,1\n", "no column url"),
        (b"excerpt,target,url\ntext,high,u\n", "line 2: target 'high' is not a number"),
        (b"excerpt,target,url\ncaf\xe9,1,u\n", "utf-8"),
        (b'excerpt,target,url\n"' + b"never closed " * 12_000, "corpus.csv"),
    ],
    ids=["column", "target", "not UTF-8", "quote never closed"],
)
def test_a_corpus_that_is_none_is_one_line_and_no_traceback(tmp_path, command, content, message):
    (tmp_path / "corpus.csv").write_bytes(content)
    where = ("--bundle", tmp_path / "new", "--run", tmp_path / "run") if command == "train" else ("--bundle", tmp_path)
    assert_failed(run(command, "--data", tmp_path / "corpus.csv", *where), 1, message)
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.csv"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--layers", "1,two"), "'two'"),
        (("--layers", "0,3"), "layers (0, 3) must all lie above the 0 frozen ones"),
        (("--layers", "3,4", "--frozen-layers", "3"), "must all lie above the 3 frozen ones"),
        (("--frozen-layers", "6"), "must all lie above the 6 frozen ones"),
        (("--device", "cuda"), "no CUDA device is seen by PyTorch"),
        (("--encoder", "/no/such/folder"), "/no/such/folder is neither a folder nor a model"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_before_training(tmp_path, monkeypatch, option, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "corpus.csv").write_text("excerpt,target,url\ntext,1,u\n")
    where = ("--run", tmp_path / "run", "--bundle", tmp_path / "new")
    assert_failed(run("train", "--data", tmp_path / "corpus.csv", *option, *where), 1, message)
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.csv"}


@pytest.mark.parametrize(
    "option",
    [
        ("--epochs", "-1"),
        ("--epochs", "few"),
        ("--teacher-share", "1.5"),
        ("--frozen-layers", "-1"),
        ("--device", "tpu"),
        ("--learning-rate", "fast"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_bad_usage(tmp_path, option):
    (tmp_path / "corpus.csv").write_text("excerpt,target,url\ntext,1,u\n")
    where = ("--run", tmp_path / "run", "--bundle", tmp_path / "new")
    result = run("train", "--data", tmp_path / "corpus.csv", *option, *where)
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_is_not_there_is_bad_usage(tmp_path, command):
    result = run(command, "--data", tmp_path / "absent.csv", "--bundle", tmp_path)
    assert result.exit_code == 2
    assert result.stdout == ""
