import numpy as np
import pytest
import treelite
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

PARAMETERS = {"model_type": "treelite_checkpoint", "output_class": "false", "is_classifier": "false"}
RNG = np.random.default_rng(0)
FEATURES, TARGETS = RNG.normal(size=(60, 5)).astype(np.float32), RNG.normal(size=60)


@pytest.fixture(scope="module")
def regressor() -> RandomForestRegressor:
    return RandomForestRegressor(10, max_depth=6, random_state=0).fit(FEATURES, TARGETS)


@pytest.fixture(scope="module")
def load(load_backend, regressor):
    """The drop-in, initialised on a forest."""

    def initialised(parameters: dict[str, str] = PARAMETERS, file: str = "checkpoint.tl", **config: str):
        checkpoint = treelite.sklearn.import_model(regressor)
        return load_backend(
            "fil", {"parameters": parameters} | config, lambda path: checkpoint.serialize(str(path)), file
        )

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
        assert scores.shape == (len(features), 1)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores[:, 0], regressor.predict(features), atol=1e-5)


def test_another_file_name_is_read_from_the_config(load, regressor):
    model = load(file="forest.tl", default_model_filename="forest.tl")
    np.testing.assert_allclose(answers(model, [FEATURES])[0][:, 0], regressor.predict(FEATURES), atol=1e-5)


@pytest.mark.parametrize("given_type", ["xgboost_json", "lightgbm", ""])
def test_other_model_types_are_refused_by_name(pb_utils, load, given_type):
    with pytest.raises(pb_utils.TritonModelException, match=f"reads treelite_checkpoint, not '{given_type}'"):
        load(PARAMETERS | {"model_type": given_type})


def test_a_config_without_a_model_type_is_refused(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="not None"):
        load({})


@pytest.mark.parametrize("key", ["output_class", "is_classifier", "predict_proba"])
@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_classifiers_are_refused(pb_utils, load, key, value):
    with pytest.raises(pb_utils.TritonModelException, match=f"serves regression forests; {key} is true"):
        load(PARAMETERS | {key: value})


def test_parameters_of_the_native_backend_that_change_no_score_are_let_pass(load, regressor):
    model = load(PARAMETERS | {"storage_type": "AUTO", "threshold": "0.5"})
    np.testing.assert_allclose(answers(model, [FEATURES])[0][:, 0], regressor.predict(FEATURES), atol=1e-5)


def test_a_missing_checkpoint_is_an_error_at_loading(load_backend):
    with pytest.raises(treelite.TreeliteError, match=r"checkpoint\.tl"):
        load_backend("fil", {"parameters": PARAMETERS}, lambda path: None, "checkpoint.tl")
