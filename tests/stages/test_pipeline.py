"""All stages in one process, held against the same computation by other means."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import treelite
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from transformers import AutoTokenizer, BertModel

from readability_triton.stages.encoder import PooledEncoder, to_torchscript
from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.pipeline import InProcessPipeline

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean"),
]

TEXTS = [
    "The hen sat in the sun. She was warm.",
    "Notwithstanding the aforementioned provisions, liability shall remain several; arbitration is final!",
    "“Who goes there?” asked the owl. Nobody answered…",
    "?!",
    "It rained and rained. " * 150,
    "Café, naïve, 東京 😀",
]
CORPUS = [*TEXTS, *(" ".join(f"word{number} the rain" for number in range(start, start + 40)) for start in range(90))]
ARTEFACTS = {
    "tokenizer": ("preprocess/1/tokenizer.json", OSError),
    "features": ("preprocess/1/features.json", OSError),
    "encoder": ("bert-large/1/model.pt", (RuntimeError, ValueError)),
    "forest": ("cuml/1/checkpoint.tl", treelite.TreeliteError),
}


@pytest.fixture(scope="module")
def spec() -> FeatureSpec:
    return FeatureSpec.fit(CORPUS)


@pytest.fixture(scope="module")
def forest(spec: FeatureSpec) -> RandomForestRegressor:
    features = extract(CORPUS, spec)
    return RandomForestRegressor(5, max_depth=4, random_state=0).fit(features, features[:, 2] + features[:, 4])


@pytest.fixture(scope="module")
def encoder(tiny_bert: BertModel) -> PooledEncoder:
    torch.manual_seed(2)
    return PooledEncoder(tiny_bert, (3,)).eval()


@pytest.fixture(scope="module")
def repository(spec, forest, encoder, tokenizer_file, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model_repository")
    for model in ("preprocess", "bert-large", "cuml"):
        (root / model / "1").mkdir(parents=True)
    shutil.copy(tokenizer_file, root / "preprocess" / "1" / "tokenizer.json")
    spec.save(root / "preprocess" / "1" / "features.json")
    torch.jit.save(to_torchscript(encoder), str(root / "bert-large" / "1" / "model.pt"))
    treelite.sklearn.import_model(forest).serialize(str(root / "cuml" / "1" / "checkpoint.tl"))
    return root


@pytest.fixture(scope="module")
def pipeline(repository: Path) -> InProcessPipeline:
    return InProcessPipeline(repository)


@pytest.fixture(scope="module")
def bert_truth(tiny_bert: BertModel, encoder: PooledEncoder, packaged_tokenizer: Path) -> NDArray[np.float32]:
    """Scores by Hugging Face's own tokenizer and BERT, a text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(packaged_tokenizer)
    with torch.inference_mode():
        tokens = [tokenizer(text, truncation=True, max_length=512, return_tensors="pt") for text in TEXTS]
        means = [tiny_bert(**one).last_hidden_state.mean(1) for one in tokens]
        return torch.cat([encoder.head(mean) for mean in means]).numpy()


@pytest.fixture(scope="module")
def cuml_truth(forest: RandomForestRegressor, spec: FeatureSpec) -> NDArray[np.float32]:
    """Scores by scikit-learn's forest."""
    return forest.predict(extract(TEXTS, spec)).astype(np.float32).reshape(-1, 1)


def test_the_encoders_scores_are_those_of_hugging_face(pipeline: InProcessPipeline, bert_truth) -> None:
    np.testing.assert_allclose(pipeline.bert(TEXTS), bert_truth, atol=1e-5)


def test_the_forests_scores_are_those_of_scikit_learn(pipeline: InProcessPipeline, cuml_truth) -> None:
    assert len(set(cuml_truth.ravel().tolist())) > 2
    np.testing.assert_allclose(pipeline.cuml(TEXTS), cuml_truth, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_scores_are_blended(pipeline: InProcessPipeline, bert_truth, cuml_truth, weight: float) -> None:
    scores = pipeline.score(TEXTS, np.full((len(TEXTS), 1), weight, np.float32))
    assert (scores.dtype, scores.shape) == (np.float32, (len(TEXTS), 1))
    np.testing.assert_allclose(scores, weight * bert_truth + (1 - weight) * cuml_truth, atol=1e-5)


def test_each_row_has_its_own_weight(pipeline: InProcessPipeline, bert_truth, cuml_truth) -> None:
    weights = np.linspace(0, 1, len(TEXTS), dtype=np.float32)[:, None]
    truth = weights * bert_truth + (1 - weights) * cuml_truth
    np.testing.assert_allclose(pipeline.score(TEXTS, weights), truth, atol=1e-5)


def test_a_batch_is_its_texts_one_by_one(pipeline: InProcessPipeline) -> None:
    weights = np.full((len(TEXTS), 1), 0.6, np.float32)
    one_by_one = [pipeline.score([text], weights[:1]) for text in TEXTS]
    np.testing.assert_allclose(pipeline.score(TEXTS, weights), np.concatenate(one_by_one), atol=1e-5)


@pytest.mark.parametrize(("artefact", "error"), ARTEFACTS.values(), ids=ARTEFACTS.keys())
def test_a_missing_artefact_is_an_error(repository: Path, tmp_path: Path, artefact: str, error) -> None:
    copy = shutil.copytree(repository, tmp_path / "model_repository")
    (copy / artefact).unlink()
    with pytest.raises(error):
        InProcessPipeline(copy)
