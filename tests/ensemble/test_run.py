"""An ensemble's graph is run as Triton's scheduler runs it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag, Step
from readability_triton.ensemble.run import check_runnable, run

SAFETY_S = 10


def step(model: str, *tensors: str) -> Step:
    """A step that reads all tensors but the last, which it writes."""
    *read, written = tensors
    return Step(model, {f"in{number}": tensor for number, tensor in enumerate(read)}, {"out": written})


def dag(*steps: Step, inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...] = ("y",)) -> Dag:
    return Dag("e", inputs, outputs, steps)


class Models:
    """Models that answer with their call, so that a tensor holds its whole history.

    Attributes:
        calls: model, inputs and wanted outputs of every call, in order.
        broken: the error of every model that fails.
        silent: outputs that a model leaves out.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], list[str]]] = []
        self.broken: dict[str, BaseException] = {}
        self.silent: set[str] = set()

    async def call(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        self.calls.append((model, dict(inputs), list(outputs)))
        await asyncio.sleep(0)
        if model in self.broken:
            raise self.broken[model]
        return {name: (model, name, *inputs.values()) for name in outputs if name not in self.silent}

    def names(self) -> list[str]:
        return [model for model, _, _ in self.calls]


class Gates:
    """Models that are in flight until the test lets them answer."""

    def __init__(self) -> None:
        self.in_flight: dict[str, asyncio.Future[None]] = {}

    async def call(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        gate = self.in_flight[model] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            del self.in_flight[model]
        return dict.fromkeys(outputs, model)

    async def settle(self) -> set[str]:
        """Who is in flight when nothing happens any more."""
        for _turn in range(20):
            await asyncio.sleep(0)
        return set(self.in_flight)


@pytest.fixture
def models() -> Models:
    return Models()


def execute(graph: Dag, models: Models, **tensors: Any) -> dict[str, Any]:
    return asyncio.run(asyncio.wait_for(run(graph, models.call, tensors), SAFETY_S))


CHAIN = dag(step("last", "s", "y"), step("first", "x", "r"), step("middle", "r", "s"))
DIAMOND = dag(step("top", "x", "t"), step("left", "t", "l"), step("right", "t", "r"), step("join", "l", "r", "y"))
FAN = dag(*(step(f"leaf{n}", "x", f"y{n}") for n in range(5)), outputs=tuple(f"y{n}" for n in range(5)))


def test_a_chain_passes_tensors_on_whatever_the_order_of_the_config(models: Models) -> None:
    tensors = execute(CHAIN, models, x=1)
    assert models.names() == ["first", "middle", "last"]
    assert tensors["y"] == ("last", "out", ("middle", "out", ("first", "out", 1)))


def test_a_diamond_joins_both_branches_by_the_names_of_the_model(models: Models) -> None:
    tensors = execute(DIAMOND, models, x=1)
    top = ("top", "out", 1)
    assert models.calls[-1] == ("join", {"in0": ("left", "out", top), "in1": ("right", "out", top)}, ["out"])
    assert tensors["y"] == ("join", "out", ("left", "out", top), ("right", "out", top))


def test_a_fan_writes_every_output(models: Models) -> None:
    tensors = execute(FAN, models, x=1)
    assert {name: tensors[name] for name in FAN.outputs} == {f"y{n}": (f"leaf{n}", "out", 1) for n in range(5)}


def test_every_tensor_comes_back_by_the_ensembles_name(models: Models) -> None:
    assert execute(CHAIN, models, x=1).keys() == {"x", "r", "s", "y"}


def test_each_step_is_called_once(models: Models) -> None:
    execute(DIAMOND, models, x=1)
    assert sorted(models.names()) == ["join", "left", "right", "top"]


def test_a_model_that_is_two_steps_is_called_twice(models: Models) -> None:
    tensors = execute(dag(step("double", "x", "t"), step("double", "t", "y")), models, x=1)
    assert tensors["y"] == ("double", "out", ("double", "out", 1))


def test_one_tensor_may_be_two_inputs_of_a_step(models: Models) -> None:
    execute(dag(step("add", "x", "x", "y")), models, x=1)
    assert models.calls == [("add", {"in0": 1, "in1": 1}, ["out"])]


def test_an_input_may_be_an_output_too(models: Models) -> None:
    assert execute(dag(step("one", "x", "y"), outputs=("x", "y")), models, x=1)["x"] == 1


def test_only_outputs_that_somebody_reads_are_asked_for(models: Models) -> None:
    first = Step("first", {"in": "x"}, {"a": "read", "b": "kept", "c": "unread"})
    graph = dag(first, step("second", "read", "y"), outputs=("kept", "y"))
    tensors = execute(graph, models, x=1)
    assert models.calls[0] == ("first", {"in": 1}, ["a", "b"])
    assert tensors.keys() == {"x", "read", "kept", "y"}


def test_a_step_without_readers_runs_too(models: Models) -> None:
    execute(dag(step("one", "x", "y"), step("log", "x", "unread")), models, x=1)
    assert sorted(models.calls)[0] == ("log", {"in0": 1}, ["out"])


def test_a_step_without_inputs_runs_at_once(models: Models) -> None:
    tensors = execute(dag(step("source", "r"), step("reader", "r", "y")), models)
    assert tensors["y"] == ("reader", "out", ("source", "out"))


def test_a_step_is_called_without_an_input_that_the_request_has_not(models: Models) -> None:
    tensors = execute(dag(step("scale", "x", "factor", "y"), inputs=("x", "factor")), models, x=1)
    assert models.calls == [("scale", {"in0": 1}, ["out"])]
    assert tensors.keys() == {"x", "y"}


def test_a_step_is_called_without_what_a_model_left_out(models: Models) -> None:
    first = Step("first", {"in": "x"}, {"a": "r", "b": "s"})
    models.silent = {"b"}
    execute(dag(first, step("second", "r", "s", "y")), models, x=1)
    assert models.calls[1] == ("second", {"in0": ("first", "a", 1)}, ["out"])


def test_what_a_model_gives_unasked_is_no_tensor_of_the_ensemble() -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        return {"out": 1, "extra": 2}

    assert asyncio.run(run(dag(step("one", "x", "y")), call, {"x": 0})) == {"x": 0, "y": 1}


def test_a_false_tensor_is_a_tensor(models: Models) -> None:
    execute(dag(step("one", "x", "y")), models, x=0)
    assert models.calls == [("one", {"in0": 0}, ["out"])]


def test_tensors_that_are_no_input_of_the_ensemble_are_not_taken(models: Models) -> None:
    assert execute(CHAIN, models, x=1, s=2)["s"] == ("middle", "out", ("first", "out", 1))


class StepError(Exception):
    """A step's own."""


@pytest.mark.parametrize("guilty", ["top", "left", "right", "join"])
def test_a_steps_exception_comes_out_as_it_is(models: Models, guilty: str) -> None:
    models.broken = {guilty: StepError("no")}
    with pytest.raises(StepError) as caught:
        execute(DIAMOND, models, x=1)
    assert caught.value is models.broken[guilty]
    assert caught.value.__cause__ is None


def test_steps_behind_one_that_failed_are_not_started(models: Models) -> None:
    models.broken = {"left": StepError()}
    with pytest.raises(StepError):
        execute(DIAMOND, models, x=1)
    assert models.names() == ["top", "left", "right"]


def test_of_two_that_fail_at_the_same_time_the_first_of_the_config_is_reported(models: Models) -> None:
    models.broken = {"left": StepError("left"), "right": StepError("right")}
    with pytest.raises(StepError, match="left"):
        execute(DIAMOND, models, x=1)


def test_after_a_failure_what_runs_is_waited_for_and_nothing_else_is_started() -> None:
    graph = dag(step("slow", "x", "t"), step("bad", "x", "u"), step("next", "t", "v"), step("join", "u", "v", "y"))

    async def watch() -> None:
        gates = Gates()
        running = asyncio.create_task(run(graph, gates.call, {"x": 0}))
        await gates.settle()
        gates.in_flight["bad"].set_exception(StepError())
        assert await gates.settle() == {"slow"}
        assert not running.done()
        gates.in_flight["slow"].set_result(None)
        assert await gates.settle() == set()
        assert isinstance(running.exception(), StepError)

    asyncio.run(watch())


def test_the_error_is_that_of_the_step_that_failed_first_in_time() -> None:
    async def watch() -> None:
        gates = Gates()
        running = asyncio.create_task(run(dag(step("one", "x", "y"), step("two", "x", "z")), gates.call, {"x": 0}))
        await gates.settle()
        gates.in_flight["two"].set_exception(StepError("two"))
        await gates.settle()
        gates.in_flight["one"].set_exception(StepError("one"))
        with pytest.raises(StepError, match="two"):
            await running

    asyncio.run(watch())


def test_who_no_longer_wants_the_answer_stops_the_steps() -> None:
    async def watch() -> set[str]:
        gates = Gates()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(FAN, gates.call, {"x": 0}), 0.05)
        return set(gates.in_flight)

    assert asyncio.run(watch()) == set()


UNRUNNABLE = {
    "no steps": (dag(outputs=()), "e has no steps"),
    "two steps in a ring": (
        dag(step("one", "x", "b", "a"), step("two", "a", "b"), step("three", "b", "y")),
        "e: steps one, two, three wait for one another, or for steps that do",
    ),
    "a step that waits for itself": (dag(step("one", "x", "y", "y")), "e: steps one wait for one another"),
    "written twice": (dag(step("one", "x", "y"), step("two", "x", "y")), "e: written more than once: y"),
    "an input written over": (dag(step("one", "x", "x"), step("two", "x", "y")), "e: written more than once: x"),
    "never written, read by a step": (dag(step("one", "x", "ghost", "y")), "e: read but never written: ghost"),
    "never written, an output": (dag(step("one", "x", "z")), "e: read but never written: y"),
}


@pytest.mark.parametrize(("graph", "reason"), UNRUNNABLE.values(), ids=UNRUNNABLE.keys())
def test_a_graph_that_cannot_be_run_is_reported_before_any_call(models: Models, graph: Dag, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        execute(graph, models, x=1)
    assert models.calls == []
    with pytest.raises(ValueError, match=f"^{reason}"):
        check_runnable(graph)


@st.composite
def graphs(draw: st.DrawFn) -> Dag:
    """Any graph whose step n reads the tensors of steps before it, or inputs, in any order of the config."""
    reads = draw(st.lists(st.lists(st.integers(-2, 9), max_size=3), min_size=1, max_size=10))
    steps = []
    for number, read in enumerate(reads):
        sources = sorted({source for source in read if source < number})
        steps.append(step(str(number), *(f"t{source}" for source in sources), f"t{number}"))
    shuffled = Random(draw(st.integers(0, 999))).sample(steps, len(steps))
    return dag(*shuffled, inputs=("t-2", "t-1"), outputs=(f"t{len(steps) - 1}",))


def in_topological_order(graph: Dag) -> dict[str, Any]:
    """The tensors, one step at a time."""
    known: dict[str, Any] = {name: name for name in graph.inputs}
    for one in sorted(graph.steps, key=lambda each: int(each.model)):
        known[one.outputs["out"]] = (one.model, "out", *(known[tensor] for tensor in one.inputs.values()))
    return known


@given(graphs())
def test_any_graph_gives_what_its_steps_give_one_after_the_other(graph: Dag) -> None:
    assert execute(graph, Models(), **{name: name for name in graph.inputs}) == in_topological_order(graph)


@given(graphs(), st.randoms(use_true_random=False))
def test_a_step_is_in_flight_from_when_its_inputs_are_there_until_it_answers(graph: Dag, random: Random) -> None:
    async def watch() -> None:
        gates, answered = Gates(), set[str]()
        running = asyncio.create_task(run(graph, gates.call, {name: name for name in graph.inputs}))
        while len(answered) < len(graph.steps):
            known = {*graph.inputs, *(f"t{number}" for number in answered)}
            due = {one.model for one in graph.steps if known.issuperset(one.inputs.values())} - answered
            assert await gates.settle() == due
            for name in random.sample(sorted(due), random.randint(1, len(due))):
                gates.in_flight[name].set_result(None)
                answered.add(name)
        await asyncio.wait_for(running, SAFETY_S)

    asyncio.run(watch())


@given(graphs(), st.data())
def test_whatever_fails_nothing_that_depends_on_it_is_started(graph: Dag, data: st.DataObject) -> None:
    models = Models()
    guilty = data.draw(st.sampled_from([one.model for one in graph.steps]))
    models.broken = {guilty: StepError(guilty)}
    with pytest.raises(StepError) as caught:
        execute(graph, models, **{name: name for name in graph.inputs})
    assert caught.value is models.broken[guilty]
    read = [tensor for _, inputs, _ in models.calls for tensor in inputs.values()]
    assert guilty not in [tensor[0] for tensor in read if isinstance(tensor, tuple)]


def test_the_ensemble_of_the_project_is_run(repository: Path) -> None:
    models = Models()
    config = read_config(repository / "ensemble_all" / "config.pbtxt")
    tensors = execute(Dag.of(config), models, excerpt="text", BERT_WEIGHT=0.5)
    assert models.names() == ["preprocess", "bert-large", "cuml", "postprocess"]
    prepared = {name: ("preprocess", name, "text") for name in ("BERT_IDS", "BERT_AM", "TREE_FEATS")}
    bert = ("bert-large", "OUTPUT__0", prepared["BERT_IDS"], prepared["BERT_AM"])
    cuml = ("cuml", "output__0", prepared["TREE_FEATS"])
    assert tensors["SCORE"] == ("postprocess", "OUTPUT0", bert, 0.5, cuml)
