import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.served_model import ServedModel
from readability_triton.stages.interval import IntervalTable
from readability_triton.training.bundle import quantiles

PARAMETERS = {"bert_weight": {"string_value": "0.9"}, "target_quantiles": {"string_value": "-2 -1 0.5"}}
EXPECTED = ServedModel("bls_pipeline", 512, 0.9, (-2.0, -1.0, 0.5))


def test_the_configuration_that_http_gives_is_read():
    config = {"name": "bls_pipeline", "max_batch_size": 512, "parameters": PARAMETERS, "backend": "python"}
    assert ServedModel.of(config) == EXPECTED


def test_the_configuration_that_grpc_gives_is_read():
    answer = service_pb2.ModelConfigResponse()
    answer.config.name, answer.config.max_batch_size = "bls_pipeline", 512
    for key, value in PARAMETERS.items():
        answer.config.parameters[key].string_value = value["string_value"]
    assert ServedModel.of(MessageToDict(answer, preserving_proto_field_name=True)) == EXPECTED


def test_a_model_without_parameters_has_no_weight_and_no_scale():
    model = ServedModel.of({"config": {"name": "theirs"}})
    assert model == ServedModel("theirs", 0, None, ())
    assert model.percentile(1.0) is None


def test_an_empty_parameter_counts_as_absent():
    empty = {"bert_weight": {"string_value": ""}, "target_quantiles": {"string_value": ""}}
    assert ServedModel.of({"name": "unbuilt", "parameters": empty}) == ServedModel("unbuilt", 0, None, ())


def test_a_weight_of_0_is_a_weight():
    assert ServedModel.of({"name": "m", "parameters": {"bert_weight": {"string_value": "0.0"}}}).bert_weight == 0


scales = st.lists(st.floats(-5, 5), min_size=1, max_size=21).map(lambda values: tuple(sorted(values)))


@given(scales, st.floats(-10, 10), st.floats(-10, 10))
def test_percentiles_lie_between_0_and_100_and_never_fall_where_scores_rise(scale, one, other):
    model = ServedModel("m", 1, None, scale)
    low, high = (model.percentile(score) for score in sorted((one, other)))
    assert 0 <= low <= high <= 100


def test_a_percentile_is_the_share_of_training_targets_that_are_at_most_as_easy():
    targets = np.random.default_rng(0).normal(size=1000)
    model = ServedModel("m", 1, None, tuple(quantiles(targets)))
    for score in (-1.6, -1.1, 0.0, 0.3, 1.5):
        assert model.percentile(score) == pytest.approx(100 * (targets <= score).mean(), abs=2)


def test_scores_outside_the_training_targets_are_at_the_ends():
    assert EXPECTED.percentile(-9) == 0
    assert EXPECTED.percentile(9) == 100


@pytest.mark.parametrize("weight", [0.0, 0.3, [0.1, 0.2]])
def test_a_weight_that_is_given_is_kept(weight):
    assert EXPECTED.weight_or_default(weight) == weight


def test_no_weight_stands_for_the_models_own():
    assert EXPECTED.weight_or_default(None) == 0.9


def test_no_weight_and_none_of_the_models_own_is_an_error_that_says_what_to_pass():
    with pytest.raises(ReadabilityError, match="theirs has no blend weight in its configuration: pass bert_weight"):
        ServedModel.of({"name": "theirs"}).weight_or_default(None)


def test_intervals_and_levels_are_those_of_the_configuration():
    table = IntervalTable(0.9, 215, [50], [[], []], [[-1.5], [-1.0]], [[1.5], [1.0]])
    parameters = {"interval": {"string_value": table.to_text()}, "level_line": {"string_value": "2.0 -1.0 0.5"}}
    model = ServedModel.of({"name": "m", "parameters": parameters})
    assert model.intervals == table
    assert model.is_calibrated
    assert model.level(-1.0) == "B1"


@pytest.mark.parametrize("parameters", [{}, {"interval": {"string_value": ""}, "level_line": {"string_value": ""}}])
def test_a_configuration_without_them_gives_neither_interval_nor_level(parameters):
    model = ServedModel.of({"name": "m", "parameters": parameters})
    assert model.intervals is None
    assert not model.is_calibrated
    assert model.level(0.5) is None


@pytest.mark.parametrize(
    ("outputs", "reports"),
    [((), False), (("SCORE",), False), (("SCORE", "ROUTE"), False), (("SCORE", "ROUTE", "DEGRADED"), True)],
)
def test_a_model_with_outputs_for_it_reports_its_routes(outputs, reports):
    assert ServedModel.of({"name": "m", "output": [{"name": name} for name in outputs]}).reports_routes is reports
