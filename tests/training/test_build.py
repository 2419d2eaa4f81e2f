import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from readability_triton.ensemble.config import read_config
from readability_triton.serving.artefacts import ARTEFACTS, missing_artefacts
from readability_triton.stages.encoder import PooledEncoder
from readability_triton.stages.encoder import predict as predict_bert
from readability_triton.stages.features import extract
from readability_triton.stages.forest import load_forest, predict
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.stages.precision import Precision, precision_of
from readability_triton.training import build
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import BaseEncoder, EncoderError, load_base_encoder
from readability_triton.training.build import REFERENCE_TOLERANCE, BuildError, _tell_configs, build_repository
from readability_triton.training.bundle import DEFAULT_BUNDLE, Bundle
from readability_triton.training.compute import Compute

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(trained) -> Bundle:
    return trained.bundle


def parameters(repository: Path, model: str) -> dict[str, str]:
    found = read_config(repository / model / "config.pbtxt").parameters
    return {key: found[key].string_value for key in found}


def scores(encoder: PooledEncoder, texts: list[str], base: BaseEncoder) -> np.ndarray:
    """The truth: one text at a time, without padding."""
    rows = [np.array([base.tokenizer.encode(text).ids]) for text in texts]
    return np.concatenate([predict_bert(encoder, ids, np.ones_like(ids)) for ids in rows])


def test_all_artefacts_are_written(built):
    assert missing_artefacts(built) == []


def test_the_built_encoder_scores_as_the_assembled_one_does(built, bundle, tiny, corpus):
    texts = corpus.texts[:20]
    expected = scores(assemble(tiny, bundle), texts, tiny)
    np.testing.assert_allclose(InProcessPipeline(built).bert(texts), expected, atol=1e-4)


def test_the_built_forest_predicts_as_the_fitted_one_does(built, bundle, corpus, tmp_path):
    (tmp_path / "fitted.tl").write_bytes(bundle.forest)
    predicted = InProcessPipeline(built).cuml(corpus.texts)
    expected = predict(load_forest(tmp_path / "fitted.tl"), extract(corpus.texts, bundle.features))
    np.testing.assert_array_equal(predicted, expected)


def test_the_blend_weight_shares_between_the_two(built, reference_texts):
    pipeline = InProcessPipeline(built)
    weights = np.array([[0.0], [0.25], [1.0]], dtype=np.float32)
    expected = weights * pipeline.bert(reference_texts) + (1 - weights) * pipeline.cuml(reference_texts)
    np.testing.assert_allclose(pipeline.score(reference_texts, weights), expected, atol=1e-6)


def test_the_configs_tell_what_is_in_the_slots(built, bundle, tiny):
    slot = parameters(built, "bert-large")
    assert slot["encoder"] == tiny.name
    assert slot["encoder_sha256"] == tiny.sha256
    assert slot["encoder_layers"] == ",".join(map(str, bundle.facts.layers))
    assert int(slot["encoder_flop_per_token"]) == assemble(tiny, bundle).flop_per_token
    for pipeline in ("ensemble_all", "bls_pipeline"):
        reported = parameters(built, pipeline)
        assert float(reported["bert_weight"]) == bundle.facts.bert_weight
        assert list(map(float, reported["target_quantiles"].split())) == bundle.facts.quantiles


def test_the_base_encoder_is_loaded_by_name_where_none_is_given(bundle, repository, reference_texts):
    build_repository(bundle, repository, reference_texts)
    assert missing_artefacts(repository) == []


def test_another_encoder_than_the_one_trained_with_is_refused_before_anything_is_written(bundle, tiny, repository):
    with pytest.raises(EncoderError, match=f"the bundle was trained with {bundle.facts.encoder_sha256}"):
        build_repository(bundle, repository, [], replace(tiny, sha256="0" * 64))
    assert missing_artefacts(repository) == list(ARTEFACTS)


def with_reference(bundle: Bundle, scores: list[list[float]]) -> Bundle:
    return replace(bundle, facts=replace(bundle.facts, reference_scores=scores))


def test_scores_unlike_the_reference_are_refused_with_the_difference(bundle, tiny, repository, reference_texts):
    scores = [list(row) for row in bundle.facts.reference_scores]
    scores[1][0] += 0.25
    with pytest.raises(BuildError, match=r"by up to 0\.25\d\d|by up to 0\.2499"):
        build_repository(with_reference(bundle, scores), repository, reference_texts, tiny)


def test_as_many_reference_scores_as_texts_are_needed(bundle, tiny, repository, reference_texts):
    with pytest.raises(BuildError, match="3 reference scores for 2 sample passages"):
        build_repository(bundle, repository, reference_texts[:2], tiny)


def contents(repository: Path) -> dict[str, bytes]:
    return {str(path.relative_to(repository)): path.read_bytes() for path in repository.rglob("*") if path.is_file()}


@pytest.mark.parametrize("there", ["nothing", "an earlier build"])
def test_a_failed_check_leaves_the_repository_as_it_was(bundle, tiny, repository, reference_texts, there):
    if there == "an earlier build":
        build_repository(replace(bundle, facts=replace(bundle.facts, bert_weight=0.125)), repository, [], tiny)
    before = contents(repository)
    with pytest.raises(BuildError):
        build_repository(with_reference(bundle, [[9.0, 9.0]] * 3), repository, reference_texts, tiny)
    assert contents(repository) == before


PRECISIONS = get_args(Precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_built_in_any_precision_is_near_the_reference_and_says_which_it_is(
    bundle, tiny, repository, reference_texts, corpus, precision
):
    build_repository(bundle, repository, reference_texts, tiny, precision)
    pipeline = InProcessPipeline(repository)
    built = np.hstack([pipeline.bert(reference_texts), pipeline.cuml(reference_texts)])
    np.testing.assert_allclose(built, bundle.facts.reference_scores, atol=REFERENCE_TOLERANCE[precision])
    exact = scores(assemble(tiny, bundle), corpus.texts, tiny)
    np.testing.assert_allclose(pipeline.bert(corpus.texts), exact, atol=REFERENCE_TOLERANCE[precision])
    assert precision_of(repository / "bert-large" / "1" / "model.pt") == precision


def test_every_precision_has_a_tolerance_and_rougher_ones_a_wider_one():
    assert list(REFERENCE_TOLERANCE) == list(PRECISIONS)
    assert list(REFERENCE_TOLERANCE.values()) == sorted(set(REFERENCE_TOLERANCE.values()))


def test_precisions_differ_in_the_encoder_alone(bundle, tiny, make_repository):
    built = {}
    for precision in PRECISIONS:
        repository = make_repository()
        build_repository(bundle, repository, [], tiny, precision)
        built[precision] = contents(repository)
    assert len({each.pop("bert-large/1/model.pt") for each in built.values()}) == len(PRECISIONS)
    assert all(built[precision] == built["fp32"] for precision in PRECISIONS)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_is_held_to_its_own_tolerance(bundle, tiny, repository, reference_texts, precision):
    scores = [list(row) for row in bundle.facts.reference_scores]
    scores[2][1] += 2 * REFERENCE_TOLERANCE[precision]
    with pytest.raises(BuildError, match=f", {REFERENCE_TOLERANCE[precision]} allowed"):
        build_repository(with_reference(bundle, scores), repository, reference_texts, tiny, precision)


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [("cpu", torch.bfloat16, "bf16"), ("cuda", torch.bfloat16, "bf16"), ("cpu", torch.float32, "int8")],
)
def test_the_best_precision_is_bf16_where_it_is_multiplied_and_else_int8(monkeypatch, device, dtype, expected):
    monkeypatch.setattr(build, "choose_compute", lambda: Compute(torch.device(device), dtype))
    assert build.best_precision() == expected


def test_building_the_default_bundle_leaves_the_committed_configs_as_they_are(repository):
    bundle = Bundle.load(DEFAULT_BUNDLE)
    _tell_configs(bundle, assemble(load_base_encoder(), bundle), repository)
    for config in sorted(repository.glob("*/config.pbtxt")):
        committed = ROOT / "model_repository" / config.parent.name / "config.pbtxt"
        assert config.read_bytes() == committed.read_bytes(), f"{committed} does not tell the committed bundle"


@pytest.mark.skipif(shutil.which("g++") is None, reason="a package is compiled with g++, which is not here")
def test_a_package_is_built_beside_torchscript_and_named_in_the_config(bundle, tiny, repository, reference_texts):
    build_repository(bundle, repository, reference_texts, tiny, "fp32", "pt2")
    assert (repository / "bert-large" / "1" / "model.pt2").is_file()
    assert missing_artefacts(repository) == []
    assert read_config(repository / "bert-large" / "config.pbtxt").default_model_filename == "model.pt2"
    build_repository(bundle, repository, reference_texts, tiny)
    assert read_config(repository / "bert-large" / "config.pbtxt").default_model_filename == "model.pt"


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_a_package_in_a_precision_that_it_cannot_have_is_refused(bundle, tiny, repository, precision):
    with pytest.raises(BuildError, match=f"pt2 is built in fp32 or bf16, not in {precision}"):
        build_repository(bundle, repository, [], tiny, precision, "pt2")
    assert missing_artefacts(repository) == list(ARTEFACTS)
