"""`readability twin`: what it writes, and what it refuses to write."""

import ast
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from readability_triton.cli.main import main
from readability_triton.ensemble.config import as_text, read_config

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path):
    return CliRunner().invoke(main, ["twin", *map(str, arguments)])


def assert_failed(result, exit_code: int, message: str) -> None:
    """One line on standard error, nothing on standard output."""
    assert result.exit_code == exit_code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("readability: ")
    assert message in line


FOREST = """
name: "forest" backend: "fil" max_batch_size: 512
input { name: "input__0" data_type: TYPE_FP32 dims: [ 207 ] }
output { name: "output__0" data_type: TYPE_FP32 dims: [ 1 ] }
"""
TREES = """
name: "trees" platform: "ensemble" max_batch_size: 8
input { name: "features" data_type: TYPE_FP32 dims: [ 207 ] }
output { name: "score" data_type: TYPE_FP32 dims: [ 1 ] }
ensemble_scheduling { step {
  model_name: "forest" model_version: -1
  input_map { key: "input__0" value: "features" } output_map { key: "output__0" value: "score" }
} }
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The project's configs, and an ensemble of one step."""
    for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
        (tmp_path / "models" / config.parent.name).mkdir(parents=True)
        shutil.copy(config, tmp_path / "models" / config.parent.name)
    add(tmp_path / "models", "forest", FOREST)
    add(tmp_path / "models", "trees", TREES)
    return tmp_path / "models"


def change(repository: Path, model: str, old: str, new: str) -> None:
    config = repository / model / "config.pbtxt"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))


def add(repository: Path, name: str, config: str) -> None:
    (repository / name).mkdir(exist_ok=True)
    (repository / name / "config.pbtxt").write_text(config)


def made(repository: Path, ensemble: str = "ensemble_all") -> ModelConfig:
    result = run(ensemble, "--model-repository", repository)
    assert (result.exit_code, result.stderr) == (0, "")
    return read_config(repository / f"{ensemble}_bls" / "config.pbtxt")


def refused(repository: Path, message: str, ensemble: str = "ensemble_all") -> None:
    before = sorted(repository.rglob("*"))
    assert_failed(run(ensemble, "--model-repository", repository), 1, message)
    assert sorted(repository.rglob("*")) == before


def test_the_twin_takes_and_gives_what_the_ensemble_does_and_its_spans(repository):
    ensemble, twin = read_config(repository / "ensemble_all" / "config.pbtxt"), made(repository)
    assert (twin.name, twin.backend, twin.platform) == ("ensemble_all_bls", "python", "")
    assert list(twin.input) == list(ensemble.input)
    *outputs, spans = twin.output
    assert outputs == list(ensemble.output)
    assert (spans.name, spans.data_type, list(spans.dims)) == ("SPANS", DataType.TYPE_STRING, [1])
    assert twin.max_batch_size == ensemble.max_batch_size
    assert not twin.HasField("ensemble_scheduling")


def test_an_ensembles_own_output_spans_stays_its_own(repository):
    change(repository, "trees", 'output { name: "score"', 'output { name: "SPANS"')
    change(repository, "trees", 'value: "score"', 'value: "SPANS"')
    (output,) = made(repository, "trees").output
    assert (output.name, output.data_type) == ("SPANS", DataType.TYPE_FP32)


def test_the_twin_is_batched_and_has_one_instance_on_the_cpu(repository):
    twin = made(repository)
    assert twin.HasField("dynamic_batching")
    (group,) = twin.instance_group
    assert (group.count, group.kind) == (1, group.KIND_CPU)


def test_the_twin_has_the_ensembles_parameters_and_names_the_ensemble(repository):
    ensemble = read_config(repository / "ensemble_all" / "config.pbtxt")
    parameters = {key: value.string_value for key, value in made(repository).parameters.items()}
    assert parameters.pop("ensemble") == "ensemble_all"
    assert parameters == {key: value.string_value for key, value in ensemble.parameters.items()}


def test_optional_and_ragged_inputs_stay_so(repository):
    change(repository, "ensemble_all", 'name: "BERT_WEIGHT"', 'optional: true name: "BERT_WEIGHT"')
    change(repository, "ensemble_all", 'name: "excerpt"', 'allow_ragged_batch: true name: "excerpt"')
    excerpt, weight = made(repository).input
    assert (excerpt.optional, excerpt.allow_ragged_batch) == (False, True)
    assert (weight.optional, weight.allow_ragged_batch) == (True, False)


def test_the_model_is_python_that_says_where_conditions_go(repository):
    made(repository)
    model = (repository / "ensemble_all_bls" / "1" / "model.py").read_text()
    assert "TritonPythonModel" in [node.name for node in ast.parse(model).body if isinstance(node, ast.ClassDef)]
    assert "# Conditions go here" in model


def test_the_config_has_a_line_for_each_entry_the_name_first(repository):
    made(repository)
    lines = (repository / "ensemble_all_bls" / "config.pbtxt").read_text().splitlines()
    assert lines[0].startswith("# The BLS twin of ensemble_all, ")
    entries = [line for line in lines if not line.startswith("#")]
    assert entries[:3] == ['name: "ensemble_all_bls"', 'backend: "python"', "max_batch_size: 512"]
    assert 'input { name: "excerpt" data_type: TYPE_STRING dims: [1] }' in entries
    assert "dynamic_batching { }" in entries


def test_it_says_what_it_wrote_and_what_comes_next(repository):
    twin = repository / "ensemble_all_bls"
    lines = [line.strip() for line in run("ensemble_all", "--model-repository", repository).stdout.splitlines()]
    assert lines[0] == f"Wrote {twin / 'config.pbtxt'}"
    assert lines[1].startswith(str(twin / "1" / "model.py"))
    assert f"readability serve --model-repository {repository}" in lines
    assert f"readability compare ensemble_all ensemble_all_bls --model-repository {repository}" in lines


def test_other_inputs_than_texts_need_data_to_compare(repository):
    result = run("trees", "--model-repository", repository)
    assert "readability compare trees trees_bls --input-data requests.json " in result.stdout


def test_the_twin_may_have_another_name(repository):
    assert run("ensemble_all", "--name", "mine", "--model-repository", repository).exit_code == 0
    assert read_config(repository / "mine" / "config.pbtxt").name == "mine"
    assert not (repository / "ensemble_all_bls").exists()


def test_what_is_there_is_not_written_over(repository):
    made(repository)
    mine = repository / "ensemble_all_bls" / "1" / "model.py"
    mine.write_text("# my conditions")
    refused(repository, f"{mine.parents[1]} is there already")
    assert mine.read_text() == "# my conditions"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../b", "/tmp/b", "b/"])
def test_a_name_that_is_no_folder_of_the_repository_is_bad_usage(repository, name):
    result = run("ensemble_all", "--name", name, "--model-repository", repository)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--name" in result.stderr


def test_what_is_no_ensemble_has_no_twin(repository):
    refused(repository, f"no ensemble forest in {repository}; there: ensemble_all, trees", "forest")


def test_an_ensemble_without_batches_has_a_twin_without(repository):
    add(repository, "trees", TREES.replace("8", "0", 1).replace("[ 207 ]", "[ -1, 207 ]").replace("[ 1 ]", "[ -1, 1 ]"))
    twin = made(repository, "trees")
    assert (twin.max_batch_size, twin.HasField("dynamic_batching")) == (0, False)


def test_over_a_step_without_batches_requests_are_not_batched(repository):
    change(repository, "forest", "max_batch_size: 512", "max_batch_size: 0")
    change(repository, "forest", "dims: [ 207 ]", "dims: [ -1, 207 ]")
    change(repository, "forest", "dims: [ 1 ]", "dims: [ -1, 1 ]")
    twin = made(repository, "trees")
    assert (twin.max_batch_size, twin.HasField("dynamic_batching")) == (8, False)
    assert "Not every step takes batches" in (repository / "trees_bls" / "config.pbtxt").read_text()


def test_a_step_that_is_not_in_the_repository_is_taken_to_know_no_batches(repository):
    add(repository, "trees", TREES.replace('"forest"', '"elsewhere"'))
    assert not made(repository, "trees").HasField("dynamic_batching")


REFUSED = {
    "a version": ("trees", "model_version: -1", "model_version: 2", "step forest wants version 2"),
    "a namespace": ("trees", "model_version: -1", 'model_namespace: "n"', "step forest is of the namespace n"),
    "a decoupled step": (
        "forest",
        "max_batch_size",
        "model_transaction_policy { decoupled: true } max_batch_size",
        "dec",
    ),
    "a stateful step": ("forest", "input {", "sequence_batching { } input {", "forest is stateful"),
    "a batch dimension that comes and goes": (
        "trees",
        "max_batch_size: 8",
        "max_batch_size: 0",
        "step forest: output__0 has 2 dimensions with the batch, tensor score has 1",
    ),
    "a cycle": ("trees", 'value: "features"', 'value: "score"', "trees: steps forest wait for one another"),
}


@pytest.mark.parametrize(("model", "old", "new", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_twin_could_not_follow_is_refused(repository, model, old, new, message):
    change(repository, model, old, new)
    refused(repository, message, "trees")


def test_an_ensemble_without_steps_has_no_twin(repository):
    add(repository, "trees", 'platform: "ensemble"')
    refused(repository, "trees has no steps", "trees")


def test_a_reshaped_input_counts_as_its_steps_see_it(repository):
    add(repository, "trees", TREES.replace("dims: [ 207 ]", "dims: [ 9, 23 ] reshape { shape: [ 207 ] }"))
    (features,) = made(repository, "trees").input
    assert (list(features.dims), list(features.reshape.shape)) == ([9, 23], [207])


def test_a_config_as_text_is_the_config_again(repository, tmp_path):
    config = read_config(repository / "ensemble_all" / "config.pbtxt")
    config.parameters["odd"].string_value = 'two  blanks, a\nline, "quotes", é, name: }'
    config.metric_tags["team"] = "x"
    (tmp_path / "config.pbtxt").write_text(as_text(config), encoding="utf-8")
    assert read_config(tmp_path / "config.pbtxt") == config
