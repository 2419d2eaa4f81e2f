"""Configs are read with Triton's own message, and the project's own keep the contract."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelOutput

from readability_triton.ensemble.config import ConfigError, read_config, read_repository

EXCERPT = {"excerpt": ("STRING", [1]), "BERT_WEIGHT": ("FP32", [1])}
CONTRACT = {
    "preprocess": (
        "python",
        {"INPUT0": ("STRING", [1])},
        {"BERT_IDS": ("INT64", [-1]), "BERT_AM": ("INT64", [-1]), "TREE_FEATS": ("FP32", [207])},
    ),
    "bert-large": (
        "pytorch",
        {"INPUT__0": ("INT64", [-1]), "INPUT__1": ("INT64", [-1])},
        {"OUTPUT__0": ("FP32", [1])},
    ),
    "cuml": ("fil", {"input__0": ("FP32", [207])}, {"output__0": ("FP32", [1])}),
    "postprocess": (
        "python",
        {"BERT_WEIGHT_INPUT": ("FP32", [1]), "BERT_LARGE_SCORE": ("FP32", [1]), "CUML_SCORE": ("FP32", [1])},
        {"OUTPUT0": ("FP32", [1])},
    ),
    "ensemble_all": ("", EXCERPT, {"SCORE": ("FP32", [1])}),
    "bls_pipeline": (
        "python",
        EXCERPT,
        {
            "SCORE": ("FP32", [1]),
            "BERT_SCORE": ("FP32", [1]),
            "CUML_SCORE": ("FP32", [1]),
            "ROUTE": ("STRING", [1]),
            "DEGRADED": ("BOOL", [1]),
            "FLAGS": ("STRING", [1]),
            "SPANS": ("STRING", [1]),
        },
    ),
}
UNREADABLE = {
    "unknown field": ("max_batches: 8", "1:1"),
    "wrong type": ('\nmax_batch_size: "many"', "2:17"),
    "not closed": ("input [ {", ""),
    "two schedulers": ("ensemble_scheduling { }\ndynamic_batching { }", "2:1"),
}


def signature(tensors: Iterable[ModelInput | ModelOutput]) -> dict[str, tuple[str, list[int]]]:
    return {one.name: (DataType.Name(one.data_type).removeprefix("TYPE_"), list(one.dims)) for one in tensors}


def write(folder: Path, content: str) -> Path:
    folder.mkdir()
    path = folder / "config.pbtxt"
    path.write_text(content, encoding="utf-8")
    return path


def test_the_repository_has_the_models_of_the_contract(models: dict[str, ModelConfig]) -> None:
    assert models.keys() == CONTRACT.keys()


@pytest.mark.parametrize("name", CONTRACT)
def test_a_model_keeps_the_contract(models: dict[str, ModelConfig], name: str) -> None:
    backend, inputs, outputs = CONTRACT[name]
    config = models[name]
    assert config.backend == backend
    assert signature(config.input) == inputs
    for output, promised in outputs.items():
        assert signature(config.output)[output] == promised
    assert config.max_batch_size == 512


def test_a_config_without_a_name_is_called_after_its_folder(tmp_path: Path) -> None:
    assert read_config(write(tmp_path / "scorer", 'backend: "python"')).name == "scorer"


def test_a_config_that_says_its_name_keeps_it(tmp_path: Path) -> None:
    assert read_config(write(tmp_path / "folder", 'name: "scorer"')).name == "scorer"


def test_an_empty_config_is_a_config(tmp_path: Path) -> None:
    assert read_config(write(tmp_path / "scorer", "")) == ModelConfig(name="scorer")


@pytest.mark.parametrize(("content", "place"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_config_is_named_with_the_place_in_it(tmp_path: Path, content: str, place: str) -> None:
    path = write(tmp_path / "scorer", content)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: {place}")


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scorer/config\.pbtxt: .*No such file"):
        read_config(tmp_path / "scorer" / "config.pbtxt")


def test_a_config_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "scorer", "")
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"scorer/config\.pbtxt: .*utf-8"):
        read_config(path)


def test_a_repository_is_its_models_by_name(tmp_path: Path) -> None:
    write(tmp_path / "one", 'backend: "python"')
    write(tmp_path / "two", 'name: "second"')
    (tmp_path / "not-a-model").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    repository = read_repository(tmp_path)
    assert repository.keys() == {"one", "second"}
    assert repository["one"].backend == "python"


@pytest.mark.parametrize("folder", [".", "missing"])
def test_a_repository_without_models_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match=r"no \*/config\.pbtxt"):
        read_repository(tmp_path / folder)


def test_one_unreadable_config_spoils_the_repository(tmp_path: Path) -> None:
    write(tmp_path / "one", 'backend: "python"')
    write(tmp_path / "two", "?")
    with pytest.raises(ConfigError, match=r"two/config\.pbtxt"):
        read_repository(tmp_path)
