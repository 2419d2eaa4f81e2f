"""An ensemble as a graph."""

from itertools import pairwise
from random import Random

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.dag import Dag, Step, is_ensemble

quick = settings(deadline=None, max_examples=80)


def names(steps: list[Step]) -> list[str]:
    return [step.model for step in steps]


def levels(dag: Dag) -> list[list[str]]:
    return [names(level) for level in dag.levels()]


def step(model: str, *tensors: str) -> Step:
    """A step that reads all tensors but the last, which it writes."""
    *read, written = tensors
    return Step(model, {f"in{number}": tensor for number, tensor in enumerate(read)}, {"out": written})


def dag(*steps: Step, inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...] = ("y",)) -> Dag:
    return Dag("e", inputs, outputs, steps)


@pytest.fixture(scope="module")
def own(models: dict[str, ModelConfig]) -> Dag:
    return Dag.of(models["ensemble_all"])


def test_the_scorers_of_the_project_run_side_by_side(own: Dag) -> None:
    assert levels(own) == [["preprocess"], ["bert-large", "cuml"], ["postprocess"]]


def test_the_tensors_of_the_project_are_those_of_the_contract(own: Dag) -> None:
    assert (own.name, own.inputs, own.outputs) == ("ensemble_all", ("excerpt", "BERT_WEIGHT"), ("SCORE",))
    inner = {tensor for step in own.steps for tensor in step.outputs.values()} - {"SCORE"}
    assert inner == {"bert_input_ids", "bert_attention_masks", "tree_feats", "bert_large_score", "cuml_score"}


def test_producers_and_consumers_are_found_by_tensor(own: Dag) -> None:
    assert names(own.producers("tree_feats")) == ["preprocess"]
    assert names(own.consumers("tree_feats")) == ["cuml"]
    assert names(own.producers("excerpt")) == []
    assert names(own.consumers("BERT_WEIGHT")) == ["postprocess"]
    assert names(own.consumers("SCORE")) == []


def test_a_tensor_may_have_several_producers_and_consumers() -> None:
    graph = dag(step("one", "x", "t"), step("two", "x", "t"), step("three", "t", "y"), step("four", "t", "z"))
    assert names(graph.producers("t")) == ["one", "two"]
    assert names(graph.consumers("t")) == ["three", "four"]
    assert names(graph.consumers("x")) == ["one", "two"]


def test_a_config_becomes_a_graph() -> None:
    config = text_format.Parse(
        """
        name: "e"
        input { name: "x" } input { name: "w" } output { name: "y" }
        ensemble_scheduling {
          step { model_name: "one" input_map { key: "b" value: "w" } input_map { key: "a" value: "x" }
                 output_map { key: "c" value: "y" } }
        }
        """,
        ModelConfig(),
    )
    assert Dag.of(config) == Dag("e", ("x", "w"), ("y",), (Step("one", {"a": "x", "b": "w"}, {"c": "y"}),))


def test_a_chain_has_a_level_a_step_whatever_the_order_of_the_config() -> None:
    assert levels(dag(step("last", "s", "y"), step("first", "x", "r"), step("middle", "r", "s"))) == [
        ["first"],
        ["middle"],
        ["last"],
    ]


def test_a_step_waits_for_its_slowest_input() -> None:
    graph = dag(step("one", "x", "r"), step("two", "r", "s"), step("three", "x", "r", "s", "y"), step("four", "x", "z"))
    assert levels(graph) == [["one", "four"], ["two"], ["three"]]


def test_a_step_without_inputs_runs_at_once() -> None:
    assert levels(dag(step("source", "r"), step("reader", "r", "y"))) == [["source"], ["reader"]]


def test_steps_on_a_cycle_and_behind_it_are_on_no_level() -> None:
    graph = dag(step("one", "x", "a"), step("two", "a", "c", "b"), step("three", "b", "c"), step("four", "c", "y"))
    assert levels(graph) == [["one"]]


def test_a_step_that_reads_an_unwritten_tensor_is_on_no_level() -> None:
    assert levels(dag(step("one", "x", "r"), step("two", "r", "ghost", "y"))) == [["one"]]


def test_a_graph_without_steps_has_no_levels() -> None:
    assert levels(dag()) == []


@quick
@given(st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_a_step_is_one_level_below_the_lowest_that_it_reads_from(reads: list[list[int]], random: Random) -> None:
    """Any graph whose step n reads the tensors of steps before it, in any order of the config."""
    sources = [sorted({source for source in given if source < number}) for number, given in enumerate(reads)]
    depth: list[int] = []
    for read in sources:
        depth.append(1 + max((depth[source] for source in read), default=-1))
    steps = [step(str(number), "x", *(f"t{one}" for one in read), f"t{number}") for number, read in enumerate(sources)]
    found = levels(dag(*random.sample(steps, len(steps))))
    assert [sorted(level) for level in found] == [
        sorted(str(number) for number in range(len(steps)) if depth[number] == level) for level in range(max(depth) + 1)
    ]


@quick
@given(st.integers(2, 6))
def test_a_ring_of_any_size_has_no_levels(size: int) -> None:
    ring = [f"t{number}" for number in range(size)]
    assert levels(dag(*(step(one, one, other) for one, other in pairwise([*ring, ring[0]])))) == []


ENSEMBLES = {
    "by platform": ('platform: "ensemble"', True),
    "by its steps": ("ensemble_scheduling { }", True),
    "by both": ('platform: "ensemble" ensemble_scheduling { }', True),
    "another platform": ('platform: "onnxruntime_onnx"', False),
    "a backend": ('backend: "python" dynamic_batching { }', False),
    "nothing said": ("", False),
}


@pytest.mark.parametrize(("config", "expected"), ENSEMBLES.values(), ids=ENSEMBLES.keys())
def test_an_ensemble_is_known_by_platform_or_steps(config: str, expected: bool) -> None:
    assert is_ensemble(text_format.Parse(config, ModelConfig())) is expected


def test_another_model_is_no_graph(models: dict[str, ModelConfig]) -> None:
    with pytest.raises(ValueError, match="bls_pipeline is not an ensemble: its config has no ensemble_scheduling"):
        Dag.of(models["bls_pipeline"])
