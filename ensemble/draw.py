"""Draw an ensemble as text for a terminal, or as Mermaid for a page."""

from collections.abc import Callable

from readability_triton.ensemble.dag import Dag


def as_text(dag: Dag) -> str:
    """A line down the page, a model a line with the tensors it reads and writes; branches run at the same time."""
    width = max((len(step.model) for step in dag.steps), default=0)
    lines = [dag.name, "", f"○ {', '.join(dag.inputs)}"]
    for level in dag.levels():
        lines.append("│")
        branch = "├─●" if len(level) > 1 else "●"
        lines += [
            f"{branch} {step.model:<{width + 3 - len(branch)}} {', '.join(step.inputs.values())}"
            f" → {', '.join(step.outputs.values())}"
            for step in level
        ]
    return "\n".join([*lines, "│", f"○ {', '.join(dag.outputs)}"])


def as_mermaid(dag: Dag) -> str:
    """A Mermaid flowchart: models as boxes, tensors on the arrows."""
    lines = ["flowchart LR"]
    lines += [f"    {_node('in', tensor)}([{tensor}])" for tensor in dag.inputs]
    lines += [f'    {_node("step", str(number))}["{step.model}"]' for number, step in enumerate(dag.steps)]
    lines += [f"    {_node('out', tensor)}([{tensor}])" for tensor in dag.outputs]
    for source, target, label in _arrows(dag):
        lines.append(f"    {source} -->{f'|{label}|' if label else ''} {target}")
    return "\n".join(lines)


def _arrows(dag: Dag) -> list[tuple[str, str, str]]:
    """Source, target and label; several tensors between the same two steps share one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for number, step in enumerate(dag.steps):
        for tensor in step.inputs.values():
            source = _source(dag, tensor)
            arrows.setdefault((source, _node("step", str(number))), []).append(tensor)
    for tensor in dag.outputs:
        arrows.setdefault((_source(dag, tensor), _node("out", tensor)), []).append(tensor)
    return [
        (source, target, "" if source.startswith("in") or target.startswith("out") else "<br/>".join(tensors))
        for (source, target), tensors in arrows.items()
    ]


def _source(dag: Dag, tensor: str) -> str:
    for number, step in enumerate(dag.steps):
        if tensor in step.outputs.values():
            return _node("step", str(number))
    return _node("in", tensor)


def _node(kind: str, name: str) -> str:
    return f"{kind}_{''.join(letter if letter.isalnum() else '_' for letter in name)}"


DRAWINGS: dict[str, Callable[[Dag], str]] = {"text": as_text, "mermaid": as_mermaid}
