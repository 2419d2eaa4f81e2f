"""Commands on a repository and their refusals: graph, doctor, build, bench, and bad corpora for train and evaluate."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from client.cli import main
from client.commands.doctor import slot
from training.bundle import DEFAULT_BUNDLE

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


@pytest.mark.parametrize("style", ["text", "mermaid"])
def test_graph_draws_the_projects_ensemble_with_every_model_and_finds_no_problem(style):
    result = run("graph", "--format", style)
    assert result.exit_code == 0
    assert result.stderr == ""
    for name in ("preprocess", "bert-large", "cuml", "postprocess", "bert_large_score", "SCORE"):
        assert name in result.stdout


def test_graph_draws_what_has_problems_and_tells_them_on_standard_error(repository):
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
    monkeypatch.setattr("serving.runtime.CONTAINER_EXECUTABLE", tmp_path / "tritonserver")
    monkeypatch.setattr("serving.runtime.importlib.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("no_triton")
def test_doctor_marks_what_is_missing_and_says_what_to_do(repository):
    result = run("doctor", "--model-repository", repository)
    assert result.exit_code == 1
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert {line[1] for line in lines if line[0] == "✗"} == {"Triton", "artefacts"}
    assert result.stdout.count("→") == 2
    assert "run `readability build`" in result.stdout
    assert result.stderr == ""


def test_doctor_says_which_encoder_is_in_the_slot(repository):
    found = slot(repository)
    assert found.found.startswith("holds sentence-transformers/all-MiniLM-L6-v2, layers 1,2,3,4, sha256 53aa51172d14…")
    assert found.advice is None


def test_doctor_says_when_the_slot_is_empty_or_unreadable(repository, tmp_path):
    config = repository / "bert-large" / "config.pbtxt"
    config.write_text('name: "bert-large"')
    assert slot(repository).advice == "run `readability build`"
    config.write_text("name: ")
    assert str(config) in slot(repository).advice
    assert slot(tmp_path / "absent").found == "not readable"


def test_build_of_a_bundle_with_a_missing_file_names_it(repository, tmp_path):
    bundle = shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle")
    (bundle / "bundle.json").unlink()
    assert_failed(run("build", "--bundle", bundle, "--model-repository", repository), 1, "bundle.json")


def test_build_of_a_bundle_for_other_weights_says_whose(repository, tmp_path):
    bundle = shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle")
    facts = bundle / "bundle.json"
    facts.write_text(facts.read_text().replace("53aa5117", "00000000"))
    result = run("build", "--bundle", bundle, "--model-repository", repository)
    assert_failed(result, 1, "the bundle was trained with 00000000")


@pytest.mark.parametrize("name", ["head.safetensors", "forest.tl.xz", "features.json", "bundle.json"])
def test_build_of_a_damaged_bundle_is_one_line_and_no_traceback(repository, tmp_path, name):
    bundle = shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle")
    (bundle / name).write_bytes((bundle / name).read_bytes()[:200])
    assert_failed(run("build", "--bundle", bundle, "--model-repository", repository), 1, "")


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
    bundle = ("--bundle", tmp_path / "new") if command == "train" else ()
    assert_failed(run(command, "--data", tmp_path / "corpus.csv", *bundle), 1, message)
    assert not (tmp_path / "new").exists()


def test_layers_that_are_no_numbers_are_refused_before_training(tmp_path):
    (tmp_path / "corpus.csv").write_text("excerpt,target,url\ntext,1,u\n")
    result = run("train", "--data", tmp_path / "corpus.csv", "--layers", "1,two", "--bundle", tmp_path / "new")
    assert_failed(result, 1, "'two'")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_is_not_there_is_bad_usage(tmp_path, command):
    result = run(command, "--data", tmp_path / "absent.csv")
    assert result.exit_code == 2
    assert result.stdout == ""
