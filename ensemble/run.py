"""Run an ensemble's graph; a callback makes the call of each step."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from readability_triton.ensemble.dag import Dag, Step

Tensor = Any
"""Whatever the calls take and give."""

Call = Callable[[str, Mapping[str, Tensor], Sequence[str]], Awaitable[Mapping[str, Tensor]]]
"""Call a model with inputs by its own names, ask for some of its outputs, and get those that it gives by name."""


async def run(dag: Dag, call: Call, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run every step as soon as all that it reads is there, at the same time as any other.

    As in Triton's scheduler, a tensor that is not given, an optional input of the ensemble or an output that a model
    left out, does not hold its readers up: they are called without it, and a model that cannot do without refuses. And
    when a step fails, no other is started, and the error comes when those that run have ended.

    Args:
        dag: what to run.
        call: makes a step's call; it requests only outputs that a step or the ensemble's caller reads.
        tensors: the ensemble's inputs by name.

    Returns:
        Every tensor of the ensemble that there is, by the ensemble's name for it: inputs, inner ones and outputs.

    Raises:
        ValueError: if the graph cannot be run; see `check_runnable`.
        Exception: what `call` raises, as it is; of several, that of the step that failed first.
    """
    check_runnable(dag)
    known: dict[str, Tensor | None] = {name: tensors.get(name) for name in dag.inputs}
    waiting = list(dag.steps)
    running: list[asyncio.Task[dict[str, Tensor | None]]] = []
    try:
        while waiting or running:
            ready = [step for step in waiting if known.keys() >= set(step.inputs.values())]
            waiting = [step for step in waiting if step not in ready]
            running += [asyncio.create_task(_run_step(dag, step, call, known)) for step in ready]
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [each for each in running if each in done]:
                known |= task.result()
            running = [task for task in running if task not in done]
    except asyncio.CancelledError:
        for task in running:
            task.cancel()
        raise
    finally:
        await asyncio.gather(*running, return_exceptions=True)
    return {name: tensor for name, tensor in known.items() if tensor is not None}


def check_runnable(dag: Dag) -> None:
    """Make sure that every step of a graph gets to run, and every output is written.

    Raises:
        ValueError: if there are no steps, a tensor is written twice or never, or steps wait for one another.
    """
    if not dag.steps:
        raise ValueError(f"{dag.name} has no steps")
    written = Counter([*dag.inputs, *(tensor for step in dag.steps for tensor in step.outputs.values())])
    if twice := [tensor for tensor, times in written.items() if times > 1]:
        raise ValueError(f"{dag.name}: written more than once: {', '.join(twice)}")
    read = [*(tensor for step in dag.steps for tensor in step.inputs.values()), *dag.outputs]
    if never := [tensor for tensor in dict.fromkeys(read) if tensor not in written]:
        raise ValueError(f"{dag.name}: read but never written: {', '.join(never)}")
    started = [step for level in dag.levels() for step in level]
    if stuck := [step.model for step in dag.steps if step not in started]:
        raise ValueError(f"{dag.name}: steps {', '.join(stuck)} wait for one another, or for steps that do")


async def _run_step(dag: Dag, step: Step, call: Call, known: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    inputs = {name: known[tensor] for name, tensor in step.inputs.items() if known[tensor] is not None}
    read = [name for name, tensor in step.outputs.items() if tensor in dag.outputs or dag.consumers(tensor)]
    # A step without readers is there for its side effects, and a call must request an output.
    given = await call(step.model, inputs, read or list(step.outputs))
    return {tensor: given.get(name) for name, tensor in step.outputs.items()}
