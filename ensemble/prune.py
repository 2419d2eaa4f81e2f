"""Leave out the steps of an ensemble that only unwanted outputs need."""

from collections.abc import Collection
from dataclasses import replace

from readability_triton.ensemble.dag import Dag, Step


def prune(dag: Dag, wanted: Collection[str]) -> Dag:
    """The graph with only the `wanted` outputs, and without steps that only the others need.

    As in Triton's scheduler, a step without readers in the whole graph stays: it is there for what it does
    besides.
    """
    pruned = replace(dag, outputs=tuple(tensor for tensor in dag.outputs if tensor in wanted))
    unwanted = set(dag.outputs).difference(wanted)
    while gone := _idle(pruned, unwanted):
        pruned = replace(pruned, steps=tuple(step for step in pruned.steps if step not in gone))
        unwanted |= {tensor for step in gone for tensor in step.inputs.values()}.difference(wanted)
    return pruned


def _idle(dag: Dag, unwanted: set[str]) -> list[Step]:
    """Steps that write nothing but unwanted tensors that no step reads any more."""
    unread = {tensor for tensor in unwanted if not dag.consumers(tensor)}
    return [step for step in dag.steps if step.outputs and unread.issuperset(step.outputs.values())]
