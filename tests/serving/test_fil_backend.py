from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import treelite
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

PARAMETERS = {"model_type": "treelite_checkpoint", "output_class": "false", "is_classifier": "false"}
RESHAPED = {"name": "output__0", "data_type": "TYPE_FP32", "dims": [1], "reshape": {"shape": [1]}}
TENSORS = {"input": [{"name": "input__0", "data_type": "TYPE_FP32", "dims": [5]}], "output": [RESHAPED]}
RNG = np.random.default_rng(0)
FEATURES, TARGETS = RNG.normal(size=(60, 5)).astype(np.float32), RNG.normal(size=60)


@pytest.fixture(scope="module")
def regressor() -> RandomForestRegressor:
    return RandomForestRegressor(10, max_depth=6, random_state=0).fit(FEATURES, TARGETS)


@pytest.fixture(scope="module")
def load(load_backend, regressor):
    """The drop-in, initialised on a forest."""

    def initialised(parameters: dict[str, str] = PARAMETERS, file: str = "checkpoint.tl", **config: Any):
        checkpoint = treelite.sklearn.import_model(regressor)
        config = TENSORS | {"parameters": parameters} | config
        return load_backend("fil", config, lambda path: checkpoint.serialize(str(path)), file)

    return initialised


@pytest.fixture(scope="module")
def model(load):
    return load()


def answers(model, requests: list[np.ndarray]) -> list[np.ndarray]:
    responses = model.execute([{"input__0": features} for features in requests])
    return [response.tensors["output__0"] for response in responses]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 1000))
def test_every_request_gets_the_forests_scores_for_its_own_rows(model, regressor, rows, seed):
    rng = np.random.default_rng(seed)
    requests = [rng.normal(size=(n, 5)).astype(np.float32) for n in rows]
    for features, scores in zip(requests, answers(model, requests), strict=True):
        assert scores.shape == (len(features),)  # as the native backend: Triton brings the column back by `reshape`
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, regressor.predict(features), atol=1e-5)


def test_another_file_name_is_read_from_the_config(load, regressor):
    model = load(file="forest.tl", default_model_filename="forest.tl")
    np.testing.assert_allclose(answers(model, [FEATURES])[0], regressor.predict(FEATURES), atol=1e-5)


@pytest.mark.parametrize("given_type", ["xgboost_json", "lightgbm", ""])
def test_other_model_types_are_refused_by_name(pb_utils, load, given_type):
    with pytest.raises(pb_utils.TritonModelException, match=f"reads treelite_checkpoint, not '{given_type}'"):
        load(PARAMETERS | {"model_type": given_type})


def test_a_config_without_a_model_type_is_refused(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="not 'xgboost', the default"):
        load({})


@pytest.mark.parametrize("key", ["output_class", "predict_proba"])
def test_classifiers_are_refused(pb_utils, load, key):
    with pytest.raises(pb_utils.TritonModelException, match=f"serves regression forests; {key} is true"):
        load(PARAMETERS | {key: "true"})


def test_a_classifier_by_the_name_that_newer_releases_read_is_refused(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="is_classifier is true"):
        load({"model_type": "treelite_checkpoint", "is_classifier": "true"})


def test_output_class_goes_before_is_classifier(load, regressor):
    model = load(PARAMETERS | {"is_classifier": "true"})
    np.testing.assert_allclose(answers(model, [FEATURES])[0], regressor.predict(FEATURES), atol=1e-5)


def test_one_of_both_names_is_required(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="Required parameter output_class not found in config"):
        load({"model_type": "treelite_checkpoint"})


@pytest.mark.parametrize("key", ["output_class", "predict_proba"])
@pytest.mark.parametrize("value", ["True", "FALSE", "1", ""])
def test_booleans_are_spelled_as_the_native_backend_reads_them(pb_utils, load, key, value):
    with pytest.raises(
        pb_utils.TritonModelException, match=f"Expected 'true' or 'false' for parameter '{key}', got: '{value}'"
    ):
        load(PARAMETERS | {key: value})


@pytest.mark.parametrize(("parameters", "threads"), [({}, -1), ({"cpu_nthread": "3"}, 3), ({"cpu_nthread": "-1"}, -1)])
def test_cpu_nthread_is_passed_on_and_all_cores_by_default(load, monkeypatch, parameters, threads):
    given, predict = [], treelite.gtil.predict
    monkeypatch.setattr(
        treelite.gtil, "predict", lambda forest, data, nthread: given.append(nthread) or predict(forest, data)
    )
    answers(load(PARAMETERS | parameters), [FEATURES])
    assert given == [threads, threads]  # at loading, then for the request


def test_more_threads_than_there_are_is_an_error_at_loading_not_at_every_request(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match=r"cpu_nthread 100000: .*nthread cannot exceed"):
        load(PARAMETERS | {"cpu_nthread": "100000"})


def test_a_cpu_nthread_that_is_no_number_is_logged_and_ignored(pb_utils, load, monkeypatch, regressor):
    lines = []
    monkeypatch.setattr(pb_utils, "Logger", SimpleNamespace(log_warn=lines.append), raising=False)
    model = load(PARAMETERS | {"cpu_nthread": "some"})
    np.testing.assert_allclose(answers(model, [FEATURES])[0], regressor.predict(FEATURES), atol=1e-5)
    assert lines == ["cpu_nthread is 'some', no number: all cores compute"]


@pytest.mark.parametrize(
    ("side", "tensor", "message"),
    [
        ("input", {"data_type": "TYPE_FP64"}, "input__0: incorrect type TYPE_FP64 for a tensor of type TYPE_FP32"),
        ("output", {"data_type": "TYPE_FP64"}, "output__0: incorrect type TYPE_FP64"),
        ("input", {"name": "INPUT__0"}, "has the input input__0, the configuration names INPUT__0"),
        ("input", {"dims": [4]}, r"input__0 has dims \[4\], the forest 5 features"),
        ("input", {"dims": [5, 1]}, "the forest 5 features"),
        ("output", {"dims": [2], "reshape": {"shape": [2]}}, r"output__0 has shape \[2\]"),
        ("output", {"reshape": {"shape": []}}, r"output__0 has shape \[\].*an empty reshape is undefined"),
    ],
)
def test_tensors_that_are_not_the_forests_are_refused_at_loading(pb_utils, load, side, tensor, message):
    with pytest.raises(pb_utils.TritonModelException, match=message):
        load(**{side: [TENSORS[side][0] | tensor]})


def test_shap_values_are_refused_by_name(pb_utils, load):
    shap = {"name": "treeshap_output", "data_type": "TYPE_FP32", "dims": [6]}
    with pytest.raises(pb_utils.TritonModelException, match="the configuration names output__0, treeshap_output"):
        load(output=[RESHAPED, shap])


@pytest.mark.parametrize("output", [{"dims": [1]}, {"dims": [-1]}, {"dims": [1, 1]}])
def test_without_reshape_and_with_any_dims_of_one_the_answer_is_squeezed_too(load, output):
    model = load(output=[{"name": "output__0", "data_type": "TYPE_FP32"} | output])
    assert answers(model, [FEATURES])[0].shape == (60,)


def test_no_rows_get_no_scores(load):
    assert answers(load(), [FEATURES[:0]])[0].shape == (0,)


def test_parameters_of_the_native_backend_that_change_no_score_and_unknown_ones_are_let_pass(load, regressor):
    model = load(PARAMETERS | {"storage_type": "AUTO", "threshold": "0.5", "transfer_threshold": "7", "encoder": "x"})
    np.testing.assert_allclose(answers(model, [FEATURES])[0], regressor.predict(FEATURES), atol=1e-5)


def test_a_missing_checkpoint_is_an_error_at_loading(pb_utils, load_backend):
    with pytest.raises(pb_utils.TritonModelException, match=r"Could not open model file .*7/checkpoint\.tl"):
        load_backend("fil", TENSORS | {"parameters": PARAMETERS}, lambda path: None, "checkpoint.tl")
