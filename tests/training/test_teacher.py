import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import (
    AutoModel,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    GPT2Model,
    MPNetConfig,
    MPNetModel,
)

from readability_triton.training.base_encoder import EncoderError
from readability_triton.training.compute import Compute
from readability_triton.training.recipe import Recipe
from readability_triton.training.teacher import TEACHER_PENALTY, load_teacher, teach, teacher_layers, teacher_means

pytestmark = pytest.mark.slow

N = 30
URLS = [f"https://example.org/{row % 10}" for row in range(N)]
ALL = np.arange(N)
SAME_MEAN = 1e-5
SIZES = {"vocab_size": 30522, "hidden_size": 16, "num_hidden_layers": 6, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("n_layers", "expected"),
    [(1, [1]), (2, [1]), (3, [1, 2]), (6, [1, 2, 3, 4]), (12, range(2, 9)), (24, range(4, 17))],
)
def test_the_second_to_the_fourth_sixth_of_the_layers_are_read(n_layers, expected):
    assert list(teacher_layers(n_layers)) == list(expected)


@given(st.integers(1, 200))
def test_any_encoder_has_layers_to_be_read_and_none_above_its_highest(n_layers):
    layers = list(teacher_layers(n_layers))
    assert layers
    assert 1 <= layers[0] <= layers[-1] <= n_layers


@pytest.fixture(scope="module")
def folders(tiny_folder, tmp_path_factory) -> dict[str, Path]:
    """Encoders of several kinds with random weights, all with BERT's tokenizer."""
    root = tmp_path_factory.mktemp("teachers")
    torch.manual_seed(4)
    models = {
        "mpnet": MPNetModel(MPNetConfig(**SIZES, intermediate_size=16)),
        # Two positions are for padding, as in RoBERTa: 64 tokens are the most.
        "short mpnet": MPNetModel(MPNetConfig(**SIZES, intermediate_size=16, max_position_embeddings=66)),
        "electra": ElectraModel(ElectraConfig(**SIZES, embedding_size=8, intermediate_size=16)),
        "gpt2": GPT2Model(GPT2Config(vocab_size=30522, n_embd=16, n_layer=1, n_head=2)),
        "distilbert": DistilBertModel(DistilBertConfig(vocab_size=30522, dim=16, n_layers=1, n_heads=2, hidden_dim=16)),
    }
    for name, model in models.items():
        model.save_pretrained(root / name)
        for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            shutil.copy(tiny_folder / file, root / name)
    return {"bert": tiny_folder} | {name: root / name for name in models}


@pytest.fixture(scope="module")
def texts(corpus) -> list[str]:
    """More than a batch, of 3 to over 64 tokens, neither rising nor falling."""
    return [text[: 1 + 37 * row % 300] for row, text in enumerate(corpus.texts[:20], start=1)]


def hidden_means(folder: Path, text: str, layers: list[int], longest: int) -> np.ndarray:
    """The truth: what the whole model gives for one text without padding."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch, output_hidden_states=True).hidden_states
    return torch.cat([states[layer][0].mean(0) for layer in layers]).numpy()


@pytest.mark.parametrize(
    ("kind", "layers", "longest"),
    [("bert", [1, 2], 64), ("mpnet", [1, 2, 3, 4], 512), ("electra", [1, 2, 3, 4], 512)],
)
def test_the_means_are_transformers_hidden_states_averaged_in_the_order_of_the_texts(
    folders, texts, exact, kind, layers, longest
):
    reported = []
    means = teacher_means(load_teacher(str(folders[kind])), texts, exact, reported.append)
    expected = [hidden_means(folders[kind], text, layers, longest) for text in texts]
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, expected, atol=1e-5)
    assert sum(reported) == len(texts)


def test_in_bf16_the_means_are_nearly_those_in_fp32(folders, texts, exact):
    in_bf16 = Compute(torch.device("cpu"), torch.bfloat16)
    rounded, full = (
        teacher_means(load_teacher(str(folders["mpnet"])), texts, compute, lambda more: None)
        for compute in (in_bf16, exact)
    )
    assert rounded.dtype == np.float32
    assert np.abs(rounded - full).max() < 0.1


@pytest.mark.parametrize("kind", ["bert", "short mpnet"])
def test_a_text_longer_than_the_teacher_takes_is_cut(folders, exact, kind):
    long, cut = teacher_means(load_teacher(str(folders[kind])), ["far " * 500, "far " * 62], exact, lambda more: None)
    np.testing.assert_allclose(long, cut, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "distilbert"])
def test_a_model_whose_layers_lie_elsewhere_is_refused(folders, exact, kind):
    with pytest.raises(EncoderError, match=f"{kind} cannot be a teacher"):
        load_teacher(str(folders[kind]))


@pytest.mark.parametrize("content", [None, "{", "{}", '{"model_type": "no such"}'], ids=str)
def test_a_folder_that_is_no_encoder_is_refused(tmp_path, exact, content):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(EncoderError, match="cannot be a teacher"):
        load_teacher(str(tmp_path))


def test_weights_that_cannot_be_read_are_refused(folders, tmp_path, exact):
    folder = shutil.copytree(folders["mpnet"], tmp_path / "teacher")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EncoderError, match="cannot be a teacher"):
        load_teacher(str(folder))


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_a_teacher_without_a_vocabulary_is_refused(folders, tmp_path, exact, kind):
    folder = shutil.copytree(folders[kind], tmp_path / "teacher")
    for path in (*folder.glob("tokenizer*"), folder / "vocab.txt", folder / "special_tokens_map.json"):
        path.unlink()
    with pytest.raises(EncoderError, match="teacher"):
        load_teacher(str(folder))


def test_a_name_that_is_neither_folder_nor_model_is_refused(monkeypatch, exact):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="neither a folder nor a model"):
        load_teacher("nobody/has-this-model")


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    return np.random.default_rng(1).normal(size=N)


@pytest.fixture(scope="module")
def means(targets) -> np.ndarray:
    """Stand-ins for the hidden states of excerpts and halves: the targets behind noise."""
    rng = np.random.default_rng(0)
    parts = [(targets + shift)[:, None] * rng.normal(size=8) for shift in (0, 1, 2)]
    return np.concatenate([part + rng.normal(size=(N, 8)) for part in parts]).astype(np.float32)


def shares(excerpt: float, half: float) -> Recipe:
    return Recipe(1, (2,), teacher_share=excerpt, half_teacher_share=half)


SAID = shares(1.0, 1.0)
"""What the teacher says, and nothing else."""


def taught(means, targets, rows=ALL, recipe=SAID, seed=3) -> np.ndarray:
    return teach(means, targets, URLS, rows, recipe, seed).reshape(3, N)


def test_what_the_teacher_says_is_scikit_learns_out_of_fold_ridge(means, targets):
    expected = np.empty((3, N))
    for fit, other in GroupKFold(5, shuffle=True, random_state=3).split(ALL, groups=URLS):
        model = make_pipeline(StandardScaler(), Ridge(TEACHER_PENALTY)).fit(means[:N][fit].astype(float), targets[fit])
        for part in range(3):
            expected[part, other] = model.predict(means[part * N :][other].astype(float))
    found = taught(means, targets)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(np.ptp(found[1:] - expected[1:]), 0, atol=1e-5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_target_is_the_share_of_the_teacher_and_else_the_human_score(means, targets, excerpt, half):
    said = taught(means, targets)
    mixed = taught(means, targets, recipe=shares(excerpt, half))
    np.testing.assert_allclose(mixed[0], (1 - excerpt) * targets + excerpt * said[0], atol=1e-9)
    np.testing.assert_allclose(mixed[1:], (1 - half) * targets + half * said[1:], atol=1e-9)


def test_without_a_share_of_the_teacher_the_targets_are_the_human_scores(means, targets):
    np.testing.assert_array_equal(taught(means, targets, recipe=shares(0.0, 0.0)), [targets] * 3)


def test_halves_are_levelled_to_the_mean_of_the_excerpts(means, targets):
    said = taught(means, targets)
    assert said[1:].mean() == pytest.approx(said[0].mean(), abs=SAME_MEAN)
    assert np.abs(said[1] - said[0]).max() > 100 * SAME_MEAN


def test_only_the_rows_to_be_learned_from_have_targets(means, targets):
    rows = np.setdiff1d(ALL, [0, 10, 20, 7])
    said = taught(means, targets, rows)
    assert np.isfinite(said[:, rows]).all()
    assert np.isnan(said[:, [0, 10, 20, 7]]).all()


@given(seed=st.integers(0, 99), chosen=st.sets(st.integers(0, N - 1), max_size=8), scale=st.sampled_from([-9.0, 1e3]))
@settings(max_examples=25)
def test_what_lies_outside_the_rows_never_matters(means, targets, seed, chosen, scale):
    rows = np.setdiff1d(ALL, sorted(chosen))
    other_means, other_targets = means.copy(), targets.copy()
    outside = np.array(sorted(chosen), dtype=int)
    for part in range(3):
        other_means[part * N + outside] *= scale
    other_targets[outside] += scale
    np.testing.assert_array_equal(
        taught(means, targets, rows, seed=seed)[:, rows], taught(other_means, other_targets, rows, seed=seed)[:, rows]
    )


@given(row=st.integers(0, N - 1), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_the_score_of_a_row_and_of_its_source_is_never_in_its_own_prediction(means, targets, row, seed):
    """In an excerpt's not at all; in its halves' only through the level that all halves share."""
    source = [each for each in ALL if URLS[each] == URLS[row]]
    spoilt = targets.copy()
    spoilt[source] += 1000
    before, after = taught(means, targets, seed=seed), taught(means, spoilt, seed=seed)
    np.testing.assert_array_equal(before[0, source], after[0, source])
    np.testing.assert_allclose(np.ptp((after - before)[1:, source]), 0, atol=1e-9)
    others = np.setdiff1d(ALL, source)
    assert (before[0, others] != after[0, others]).any()


def test_the_same_seed_says_the_same_and_another_seed_something_else(means, targets):
    first, again, other = (taught(means, targets, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_with_fewer_sources_than_folds_each_is_a_fold(means, targets):
    rows = np.array([0, 1, 2, 3, 10])
    assert np.isfinite(taught(means, targets, rows).reshape(3, -1)[:, rows]).all()
