from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble.config import read_config
from serving.artefacts import missing_artefacts
from stages.encoder import PooledEncoder
from stages.features import extract
from stages.forest import load_forest, predict
from stages.pipeline import InProcessPipeline
from training.base_encoder import EncoderError
from training.build import BuildError, _tell_configs, assemble, build_repository
from training.bundle import DEFAULT_BUNDLE, Bundle
from training.head import embed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(trained) -> Bundle:
    return trained.bundle


def parameters(repository: Path, model: str) -> dict[str, str]:
    found = read_config(repository / model / "config.pbtxt").parameters
    return {key: found[key].string_value for key in found}


def test_all_artefacts_are_written(built):
    assert missing_artefacts(built) == []


def test_the_built_encoder_scores_as_the_fitted_head_does(built, bundle, tiny, corpus):
    texts = corpus.texts[:20]
    pooled = PooledEncoder(tiny.bert, tuple(bundle.facts.layers)).eval()
    expected = bundle.head.predict(embed(pooled, tiny.tokenizer, texts, lambda more: None))
    np.testing.assert_allclose(InProcessPipeline(built).bert(texts)[:, 0], expected, atol=1e-4)


def test_the_built_forest_scores_as_the_fitted_forest_does(built, bundle, corpus, tmp_path):
    (tmp_path / "forest.tl").write_bytes(bundle.forest)
    pipeline = InProcessPipeline(built)
    expected = predict(load_forest(tmp_path / "forest.tl"), extract(corpus.texts, bundle.features))
    np.testing.assert_array_equal(pipeline.cuml(corpus.texts), expected)


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
    for pipeline in ("ensemble_all", "bls_pipeline"):
        told = parameters(built, pipeline)
        assert float(told["bert_weight"]) == bundle.facts.bert_weight
        assert list(map(float, told["target_quantiles"].split())) == bundle.facts.quantiles


def test_the_base_encoder_is_loaded_by_name_where_none_is_given(bundle, repository, reference_texts):
    build_repository(bundle, repository, reference_texts)
    assert missing_artefacts(repository) == []


def test_another_encoder_than_the_one_trained_with_is_refused_before_anything_is_written(bundle, tiny, repository):
    with pytest.raises(EncoderError, match=f"the bundle was trained with {bundle.facts.encoder_sha256}"):
        build_repository(bundle, repository, [], replace(tiny, sha256="0" * 64))
    assert len(missing_artefacts(repository)) == 4


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


def test_the_assembled_encoder_leaves_the_base_encoder_as_it_was(bundle, tiny):
    before = {name: value.clone() for name, value in tiny.bert.state_dict().items()}
    encoder = assemble(tiny, bundle)
    assert not encoder.training
    assert encoder.head.bias.item() == pytest.approx(bundle.head.bias)
    assert all((value == before[name]).all() for name, value in tiny.bert.state_dict().items())


def test_building_the_default_bundle_leaves_the_committed_configs_as_they_are(repository):
    _tell_configs(Bundle.load(DEFAULT_BUNDLE), repository)
    for config in sorted(repository.glob("*/config.pbtxt")):
        committed = ROOT / "model_repository" / config.parent.name / "config.pbtxt"
        assert config.read_bytes() == committed.read_bytes(), f"{committed} does not tell the committed bundle"
