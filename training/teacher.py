"""A larger encoder that is never served: what it says of a text is mixed into the targets.

One human score is noisy: its standard error is half of the corpus's deviation. A teacher's prediction for a row that it
was not fitted on errs otherwise, so that a mixture of the two is nearer the truth than either; and the teacher can
judge texts that no one has, here the halves of excerpts. It stays frozen, as fine-tuning it takes hours on a CPU; a
ridge regression reads the score off its layers and those of the encoder before tuning.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from readability_triton.training.base_encoder import EncoderError, find_folder, weights_sha256
from readability_triton.training.compute import Compute
from readability_triton.training.cross_validation import N_FOLDS
from readability_triton.training.head import Head
from readability_triton.training.recipe import Recipe

BATCH = 16
TEACHER_PENALTY = 8000.0
"""Of the ridge regression. With all-mpnet-base-v2 and all-MiniLM-L6-v2, RMSE 0.512 over five folds; 0.515 with half of
it, 0.514 with twice."""


def teacher_layers(n_layers: int) -> range:
    """Every layer of the second, third and fourth sixth, where ease of reading is easiest to read off."""
    return range(max(1, round(n_layers / 6)), max(1, round(n_layers * 2 / 3)) + 1)


@dataclass(frozen=True)
class Teacher:
    """A pretrained encoder of any kind whose layers lie in `encoder.layer`.

    Attributes:
        name: what the user asked for, a hub id or a folder.
        sha256: of its weights.
        model: the encoder, without the layers above the highest that is used.
        tokenizer: its own.
        layers: those whose outputs are averaged.
        longest: tokens that it takes.
    """

    name: str
    sha256: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layers: range
    longest: int


def load_teacher(name: str) -> Teacher:
    """Load what transformers' AutoModel can: BERT, RoBERTa, ELECTRA and MPNet have their layers where they are sought.

    Raises:
        EncoderError: if it cannot be loaded, has no vocabulary, or is not of that kind.
    """
    folder = find_folder(name)
    try:
        sha256 = weights_sha256(folder)
        model = AutoModel.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        common = tokenizer("the reader", add_special_tokens=False).input_ids
        layers = teacher_layers(len(model.encoder.layer))
        model.encoder.layer = model.encoder.layer[: layers[-1]]
    except Exception as error:  # each kind of model fails in its own way
        raise EncoderError(f"{name} cannot be a teacher: {type(error).__name__}: {error}") from error
    if tokenizer.unk_token_id in common:
        raise EncoderError(f"{name} cannot be a teacher: it has no vocabulary file, or does not know English")
    # MPNet and RoBERTa count positions from after the padding's.
    reserved = getattr(model.embeddings, "padding_idx", -1) + 1
    longest = min(512, tokenizer.model_max_length, model.config.max_position_embeddings - reserved)
    return Teacher(name, sha256, model, tokenizer, layers, longest)


def teacher_means(
    teacher: Teacher, texts: Sequence[str], compute: Compute, on_progress: Callable[[int], None]
) -> NDArray[np.float32]:
    """The teacher's layers averaged over tokens, side by side: FP32 [N, layers * hidden].

    Args:
        teacher: the encoder.
        texts: N texts, cut at the longest input that the teacher takes.
        compute: where to compute.
        on_progress: called with the number of texts just done.
    """
    model = teacher.model.to(compute.device, compute.dtype)
    means = np.empty((len(texts), len(teacher.layers) * model.config.hidden_size), dtype=np.float32)
    by_length = np.argsort([len(text) for text in texts], kind="stable")
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            rows = by_length[start : start + BATCH]
            batch = teacher.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=teacher.longest,
                return_tensors="pt",
            ).to(compute.device)
            states = model(**batch, output_hidden_states=True).hidden_states
            share = batch["attention_mask"] / batch["attention_mask"].sum(1, keepdim=True)
            pooled = [torch.einsum("bl,blh->bh", share, states[layer].float()) for layer in teacher.layers]
            means[rows] = torch.cat(pooled, dim=1).cpu().numpy()
            on_progress(len(rows))
    return means


def teach(
    means: NDArray[np.float32],
    targets: NDArray[np.float64],
    urls: Sequence[str],
    rows: NDArray[np.int64],
    recipe: Recipe,
    seed: int,
) -> NDArray[np.float64]:
    """Targets FP64 [3N] for N excerpts, their first halves and their second halves; NaN for those not in `rows`.

    A target is the excerpt's human score mixed with the teacher's prediction, which comes from a ridge regression
    fitted on other sources among `rows`: a row's own score is not in it, but for the common level of all halves, and
    no row outside `rows` is.

    Args:
        means: FP32 [3N, features] of excerpts, first halves and second halves.
        targets: FP64 [N], human scores of the excerpts.
        urls: N sources.
        rows: the excerpts that may be learned from.
        recipe: holds the share of the prediction.
        seed: of the folds among `rows`.
    """
    parts = means.reshape(3, len(targets), -1)
    said = np.full(parts.shape[:2], np.nan)
    groups = [urls[row] for row in rows]
    n_folds = min(N_FOLDS, len(set(groups)))
    for fit, other in GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, groups=groups):
        head = Head.fit(parts[0, rows[fit]], targets[rows[fit]], TEACHER_PENALTY)
        said[:, rows[other]] = [head.predict(part[rows[other]]) for part in parts]
    # Fitted on whole excerpts, the regression takes every shorter text for an easier one: 0.27 on average.
    said[1:] += said[0, rows].mean() - said[1:, rows].mean()
    share = np.array([[recipe.teacher_share], [recipe.half_teacher_share], [recipe.half_teacher_share]])
    return ((1 - share) * targets + share * said).ravel()
