"""Each problem is reported in one sentence, for the smallest config that has it and no other."""

import re
from collections.abc import Mapping
from itertools import pairwise

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.check import problems

X, Y = 'input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }', 'output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }'
DECLARED = f'name: "e" platform: "ensemble" max_batch_size: 8 {X} {Y}'

MODELS = """
name: "double" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "add" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] } input { name: "c" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "maybe" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] } input { name: "c" data_type: TYPE_FP32 dims: [ 1 ] optional: true }
output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "whole" max_batch_size: 8
input { name: "a" data_type: TYPE_INT64 dims: [ 1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "wide" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 3 ] } output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "deep" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 1, 1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "any" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ -1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ -1 ] }
---
name: "words" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] } output { name: "b" data_type: TYPE_STRING dims: [ 1 ] }
---
name: "small" max_batch_size: 4
input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ 1 ] }
---
name: "single"
input { name: "a" data_type: TYPE_FP32 dims: [ -1, 1 ] } output { name: "b" data_type: TYPE_FP32 dims: [ -1, 1 ] }
"""


def parse(config: str) -> ModelConfig:
    return text_format.Parse(config, ModelConfig())


@pytest.fixture(scope="module")
def known() -> dict[str, ModelConfig]:
    return {config.name: config for config in map(parse, MODELS.split("---"))}


def maps(kind: str, pairs: str) -> str:
    """``a=x c=t`` as the entries of a map."""
    entries = (pair.split("=") for pair in pairs.split())
    return " ".join(f'{kind} {{ key: "{key}" value: "{value}" }}' for key, value in entries)


def step(model: str, read: str, written: str) -> str:
    return f'step {{ model_name: "{model}" {maps("input_map", read)} {maps("output_map", written)} }}'


def ensemble(*steps: str, start: str = DECLARED) -> str:
    return f"{start} ensemble_scheduling {{ {' '.join(steps)} }}"


def found(config: str, known: Mapping[str, ModelConfig]) -> list[str]:
    return problems(parse(config), known)


def also(kind: str, *names: str) -> str:
    """DECLARED with more FP32 inputs or outputs."""
    return " ".join([DECLARED, *(f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: [ 1 ] }}' for name in names)])


def declared(**changes: str) -> str:
    """DECLARED with other dims, another batch or platform."""
    text = DECLARED
    for field, value in changes.items():
        text = re.sub(rf"{field}: (\[.*?\]|\S+)", f"{field}: {value}", text)
    return text


DOUBLE = step("double", "a=x", "b=y")
FIRST, SECOND = step("double", "a=x", "b=t"), step("double", "a=t", "b=y")

SOUND = {
    "one step": ensemble(DOUBLE),
    "a chain": ensemble(FIRST, SECOND),
    "a chain written backwards": ensemble(SECOND, FIRST),
    "two readers of one tensor": ensemble(FIRST, step("add", "a=t c=x", "b=y")),
    "one tensor read twice by a step": ensemble(step("add", "a=x c=x", "b=y")),
    "an optional input left out": ensemble(step("maybe", "a=x", "b=y")),
    "an optional input mapped": ensemble(step("maybe", "a=x c=x", "b=y")),
    "an output of a model left out": ensemble(DOUBLE, step("double", "a=x", "")),
    "a length that may vary meets a fixed one": ensemble(step("any", "a=x", "b=t"), SECOND),
    "an inner tensor that is an output too": ensemble(FIRST, SECOND, start=also("output", "t")),
    "batches smaller than a step's": ensemble(DOUBLE, start=declared(max_batch_size="4")),
    "a step that does not batch, whose shapes fit": ensemble(step("single", "a=x", "b=y")),
    "no batches at all": ensemble(step("single", "a=x", "b=y"), start=declared(max_batch_size="0", dims="[ 5, 1 ]")),
    "no batches, over a model that batches": ensemble(DOUBLE, start=declared(max_batch_size="0", dims="[ -1, 1 ]")),
}

PROBLEMS = {
    "no steps": ('name: "e" platform: "ensemble"', "e has no steps"),
    "itself": (ensemble(step("e", "a=x", "b=y")), "step e is the ensemble itself"),
    "unknown model": (ensemble(step("triple", "a=x", "b=y")), "step triple: no such model in the repository"),
    "unknown input": (ensemble(step("double", "a=x q=x", "b=y")), "step double: the model has no input q"),
    "unknown output": (
        ensemble(step("double", "a=x", "b=y q=z"), start=also("output", "z")),
        "step double: the model has no output q",
    ),
    "input without a tensor": (ensemble(step("add", "a=x", "b=y")), "step add: nothing is mapped to its input c"),
    "written by two steps": (ensemble(DOUBLE, DOUBLE), "tensor y is written 2 times"),
    "written by three steps": (ensemble(DOUBLE, DOUBLE, DOUBLE), "tensor y is written 3 times"),
    "an input written over": (ensemble(DOUBLE, step("double", "a=x", "b=x")), "tensor x is written 2 times"),
    "never written, read by a step": (
        ensemble(step("add", "a=x c=ghost", "b=y")),
        "tensor ghost is read but never written",
    ),
    "never written, an output": (
        ensemble(DOUBLE, start=also("output", "z")),
        "tensor z is read but never written",
    ),
    "an input never used": (ensemble(DOUBLE, start=also("input", "w")), "tensor w is written but never used"),
    "a step's tensor never used": (
        ensemble(DOUBLE, step("double", "a=x", "b=t")),
        "tensor t is written but never used",
    ),
    "two steps in a ring": (
        ensemble(step("add", "a=x c=s", "b=t"), step("double", "a=t", "b=s"), DOUBLE),
        "steps add, double wait for one another",
    ),
    "a step that waits for itself": (
        ensemble(step("add", "a=x c=t", "b=t"), DOUBLE),
        "steps add wait for one another",
    ),
    "data type": (ensemble(step("whole", "a=x", "b=y")), "step whole: a is INT64 [-1, 1], tensor x is FP32 [-1, 1]"),
    "length": (ensemble(step("wide", "a=x", "b=y")), "step wide: a is FP32 [-1, 3], tensor x is FP32 [-1, 1]"),
    "rank": (ensemble(step("deep", "a=x", "b=y")), "step deep: a is FP32 [-1, 1, 1], tensor x is FP32 [-1, 1]"),
    "data type between steps": (
        ensemble(step("words", "a=x", "b=t"), SECOND),
        "step double: a is FP32 [-1, 1], tensor t is STRING [-1, 1]",
    ),
    "data type of an output": (
        ensemble(step("words", "a=x", "b=y")),
        "output y is promised as FP32 [-1, 1], its step gives STRING [-1, 1]",
    ),
    "batch dimension": (
        ensemble(DOUBLE, start=declared(max_batch_size="0")),
        [
            "step double: a is FP32 [-1, 1], tensor x is FP32 [1]",
            "output y is promised as FP32 [1], its step gives FP32 [-1, 1]",
        ],
    ),
    "batch": (ensemble(step("small", "a=x", "b=y")), "e takes batches of 8, its step small only 4"),
    "platform": (ensemble(DOUBLE, start=declared(platform='"python"')), 'e must say platform: "ensemble"'),
    "backend": (ensemble(DOUBLE) + ' backend: "ensemble"', "e names a backend, ensemble"),
    "instances": (ensemble(DOUBLE) + " instance_group { count: 2 }", "e has instance_group: only its steps can"),
    "warm-up": (ensemble(DOUBLE) + ' model_warmup { name: "w" }', "e has model_warmup: only its steps can"),
    # Steps and another scheduler exclude each other in Triton's message, so these two have no steps besides.
    "dynamic batching": (
        'name: "e" platform: "ensemble" dynamic_batching { }',
        ["e has no steps", "e has dynamic_batching: an ensemble is scheduled step by step"],
    ),
    "sequence batching": (
        'name: "e" platform: "ensemble" sequence_batching { }',
        ["e has no steps", "e has sequence_batching: an ensemble is scheduled step by step"],
    ),
}


def test_the_ensemble_of_the_project_has_no_problems(models: dict[str, ModelConfig]) -> None:
    assert problems(models["ensemble_all"], models) == []


@pytest.mark.parametrize("config", SOUND.values(), ids=SOUND.keys())
def test_a_sound_ensemble_has_no_problems(known: dict[str, ModelConfig], config: str) -> None:
    assert found(config, known) == []


@pytest.mark.parametrize(("config", "expected"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_a_problem_is_reported_and_no_other(
    known: dict[str, ModelConfig], config: str, expected: str | list[str]
) -> None:
    assert found(config, known) == ([expected] if isinstance(expected, str) else expected)


def test_an_ensemble_that_is_in_the_repository_itself_is_still_no_step_of_its_own(known) -> None:
    config = parse(ensemble(step("e", "a=x", "b=y"), start=DECLARED))
    assert problems(config, known | {"e": config})[0] == "step e is the ensemble itself"


def test_every_problem_is_reported(known: dict[str, ModelConfig]) -> None:
    config = ensemble(step("small", "a=ghost", "b=t"), step("triple", "a=x", "b=y")) + ' backend: "python"'
    assert sorted(found(config, known)) == [
        "e names a backend, python",
        "e takes batches of 8, its step small only 4",
        "step triple: no such model in the repository",
        "tensor ghost is read but never written",
        "tensor t is written but never used",
    ]


def test_every_misspelt_name_of_a_step_is_reported(known: dict[str, ModelConfig]) -> None:
    expected = found(ensemble(step("double", "a=x q=x r=x s=x", "b=y")), known)
    assert sorted(expected) == [f"step double: the model has no input {name}" for name in "qrs"]


def test_steps_behind_a_missing_tensor_do_not_wait_for_one_another(known: dict[str, ModelConfig]) -> None:
    expected = found(ensemble(step("double", "a=ghost", "b=t"), step("add", "a=x c=t", "b=y")), known)
    assert expected == ["tensor ghost is read but never written"]


def test_a_step_behind_a_ring_is_not_said_to_be_in_it(known: dict[str, ModelConfig]) -> None:
    ring = [step("add", "a=x c=s", "b=t"), step("any", "a=t", "b=s")]
    assert found(ensemble(*ring, step("double", "a=t", "b=y")), known) == ["steps add, any wait for one another"]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_ring_of_any_size_is_reported(known: dict[str, ModelConfig], size: int) -> None:
    tensors = [f"t{number}" for number in range(size)]
    ring = [step("double", f"a={one}", f"b={other}") for one, other in pairwise([*tensors, tensors[0]])]
    assert found(ensemble(*ring, DOUBLE), known) == [f"steps {', '.join(['double'] * size)} wait for one another"]


def test_an_ensemble_may_be_a_step_of_another(known: dict[str, ModelConfig]) -> None:
    inner = parse(ensemble(DOUBLE).replace('name: "e"', 'name: "inner"', 1))
    assert found(ensemble(step("inner", "x=x", "y=y")), known | {"inner": inner}) == []


def test_a_misspelt_tensor_in_the_ensemble_of_the_project_is_reported(models: dict[str, ModelConfig]) -> None:
    config = ModelConfig()
    config.CopyFrom(models["ensemble_all"])
    config.ensemble_scheduling.step[2].output_map["output__0"] = "cuml_scores"
    assert problems(config, models) == [
        "tensor cuml_score is read but never written",
        "tensor cuml_scores is written but never used",
    ]


def test_a_model_that_is_no_ensemble_cannot_be_checked(models: dict[str, ModelConfig]) -> None:
    with pytest.raises(ValueError, match="cuml is not an ensemble"):
        problems(models["cuml"], models)
