"""Drawings of an ensemble."""

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.dag import Dag, Step
from readability_triton.ensemble.draw import DRAWINGS, as_mermaid, as_text

DIAMOND = Dag(
    "scores",
    ("text", "weight"),
    ("score",),
    (
        Step("prepare", {"in": "text"}, {"ids": "ids", "mask": "mask", "features": "features"}),
        Step("net-1", {"a": "ids", "b": "mask"}, {"out": "net_score"}),
        Step("trees", {"in": "features"}, {"out": "tree_score"}),
        Step("blend", {"w": "weight", "x": "net_score", "y": "tree_score"}, {"out": "score"}),
    ),
)
TEXT = """\
scores

○ text, weight
│
● prepare   text → ids, mask, features
│
├─● net-1   ids, mask → net_score
├─● trees   features → tree_score
│
● blend     weight, net_score, tree_score → score
│
○ score"""
MERMAID = """\
flowchart LR
    in_text([text])
    in_weight([weight])
    step_0["prepare"]
    step_1["net-1"]
    step_2["trees"]
    step_3["blend"]
    out_score([score])
    in_text --> step_0
    step_0 -->|ids<br/>mask| step_1
    step_0 -->|features| step_2
    in_weight --> step_3
    step_1 -->|net_score| step_3
    step_2 -->|tree_score| step_3
    step_3 --> out_score"""


@pytest.fixture(scope="module")
def own(models: dict[str, ModelConfig]) -> Dag:
    return Dag.of(models["ensemble_all"])


def test_text_shows_the_levels_down_the_page() -> None:
    assert as_text(DIAMOND) == TEXT


def test_mermaid_shows_models_as_boxes_and_tensors_on_the_arrows() -> None:
    assert as_mermaid(DIAMOND) == MERMAID


def test_the_text_of_the_project_branches_where_the_scorers_run_side_by_side(own: Dag) -> None:
    steps = [line.split()[:2] for line in as_text(own).splitlines() if "→" in line]
    assert steps == [["●", "preprocess"], ["├─●", "bert-large"], ["├─●", "cuml"], ["●", "postprocess"]]


def test_the_text_of_the_project_names_every_tensor(own: Dag) -> None:
    text = as_text(own)
    tensors = {*own.inputs, *own.outputs, *(tensor for step in own.steps for tensor in step.outputs.values())}
    assert [tensor for tensor in tensors if tensor not in text] == []


def test_the_mermaid_of_the_project_has_an_arrow_for_every_pair_of_neighbours(own: Dag) -> None:
    arrows = {line.strip() for line in as_mermaid(own).splitlines() if "-->" in line}
    assert arrows == {
        "in_excerpt --> step_0",
        "step_0 -->|bert_input_ids<br/>bert_attention_masks| step_1",
        "step_0 -->|tree_feats| step_2",
        "in_BERT_WEIGHT --> step_3",
        "step_1 -->|bert_large_score| step_3",
        "step_2 -->|cuml_score| step_3",
        "step_3 --> out_SCORE",
    }


def test_a_model_that_is_used_twice_has_two_boxes() -> None:
    twice = Dag("e", ("x",), ("y",), (Step("double", {"a": "x"}, {"b": "t"}), Step("double", {"a": "t"}, {"b": "y"})))
    assert {'    step_0["double"]', '    step_1["double"]', "    step_0 -->|t| step_1"} <= set(
        as_mermaid(twice).splitlines()
    )


def test_names_that_mermaid_would_not_take_are_labels_only() -> None:
    odd = Dag("e", ("my-text.raw",), ("y",), (Step("a b", {"a": "my-text.raw"}, {"b": "y"}),))
    assert {"    in_my_text_raw([my-text.raw])", "    in_my_text_raw --> step_0"} <= set(as_mermaid(odd).splitlines())


def test_an_input_that_is_also_an_output_goes_straight_through() -> None:
    assert "    in_x --> out_x" in as_mermaid(Dag("e", ("x",), ("x",), ())).splitlines()


def test_an_inner_tensor_that_is_also_an_output_has_both_arrows() -> None:
    graph = Dag("e", ("x",), ("t", "y"), (Step("one", {"a": "x"}, {"b": "t"}), Step("two", {"a": "t"}, {"b": "y"})))
    assert {"    step_0 -->|t| step_1", "    step_0 --> out_t"} <= set(as_mermaid(graph).splitlines())


def test_every_drawing_can_be_asked_for_by_name() -> None:
    assert {name: draw(DIAMOND) for name, draw in DRAWINGS.items()} == {"text": TEXT, "mermaid": MERMAID}
