"""Steps that only unwanted outputs need are left out, as Triton's scheduler does."""

from readability_triton.ensemble.dag import Dag, Step
from readability_triton.ensemble.prune import prune


def step(model: str, read: str, *written: str) -> Step:
    return Step(model, {"in": read}, {f"out{number}": tensor for number, tensor in enumerate(written)})


def names(dag: Dag) -> list[str]:
    return [one.model for one in dag.steps]


LEFT, RIGHT = step("b", "t", "y"), (step("c", "t", "u"), step("d", "u", "z"))
FORK = Dag("e", ("x",), ("y", "z"), (step("a", "x", "t"), LEFT, *RIGHT))


def test_all_outputs_need_all_steps() -> None:
    assert prune(FORK, ["z", "y"]) == FORK


def test_an_unwanted_branch_goes_from_its_end_up_to_the_fork() -> None:
    assert names(prune(FORK, ["y"])) == ["a", "b"]
    assert names(prune(FORK, ["z"])) == ["a", "c", "d"]


def test_only_the_wanted_outputs_are_left() -> None:
    assert prune(FORK, ["z"]).outputs == ("z",)


def test_a_step_that_writes_a_wanted_output_besides_stays() -> None:
    both = Dag("e", ("x",), ("y", "z"), (step("a", "x", "t"), step("b", "t", "y", "z")))
    assert names(prune(both, ["y"])) == ["a", "b"]


def test_an_unwanted_output_that_a_step_reads_is_still_written() -> None:
    chain = Dag("e", ("x",), ("t", "y"), (step("a", "x", "t"), step("b", "t", "y")))
    assert names(prune(chain, ["y"])) == ["a", "b"]
    assert names(prune(chain, ["t"])) == ["a"]


def test_a_step_that_never_had_a_reader_stays() -> None:
    logged = Dag("e", ("x",), ("y", "z"), (step("log", "x", "unread"), step("b", "x", "y"), step("c", "x", "z")))
    assert names(prune(logged, ["y"])) == ["log", "b"]
