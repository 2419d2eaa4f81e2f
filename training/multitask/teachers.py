"""Larger encoders that label the texts: ten of one kind, each fitted without two of five folds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from readability_triton.stages.encoder import LONGEST
from readability_triton.training.base_encoder import EncoderError, find_folder, weights_sha256
from readability_triton.training.fit import Progress
from readability_triton.training.multitask.compose import ComposedTexts
from readability_triton.training.multitask.fits import Fits, Plan
from readability_triton.training.multitask.labels import FOLD_PAIRS, labelled_by
from readability_triton.training.multitask.token_store import BERT, MPNET, Vocabulary
from readability_triton.training.run_folder import RunFolder

_PROBE = "The reader's unaffable friend, resumed."


@dataclass(frozen=True)
class TeacherEncoder:
    """A pretrained encoder that teachers start from.

    Attributes:
        name: what the user asked for.
        sha256: of its weights.
        model: a BERT or an MPNet.
        vocabulary: how its ids follow from those of BERT's uncased vocabulary.
        longest: tokens that it takes.
    """

    name: str
    sha256: str
    model: PreTrainedModel
    vocabulary: Vocabulary
    longest: int


def load_teacher_encoder(name: str, tokenizer: Tokenizer) -> TeacherEncoder:
    """Load a BERT or an MPNet with BERT's uncased vocabulary by folder or hub id.

    Args:
        name: folder or hub id.
        tokenizer: of the encoder that is taught.

    Raises:
        EncoderError: if it cannot be had, is of another kind, or splits text otherwise.
    """
    folder = find_folder(name)
    try:
        sha256 = weights_sha256(folder)
        model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
        ids = AutoTokenizer.from_pretrained(folder)(_PROBE, add_special_tokens=False).input_ids
    except Exception as error:  # each kind of model fails in its own way
        raise EncoderError(f"{name} cannot be a teacher: {type(error).__name__}: {error}") from error
    kind = model.config.model_type
    if kind not in ("bert", "mpnet"):
        raise EncoderError(f"{name} cannot be a teacher: it is a {kind} model, a BERT or an MPNet is needed")
    vocabulary = MPNET if kind == "mpnet" else BERT
    if ids != [number + vocabulary.offset for number in tokenizer.encode(_PROBE, add_special_tokens=False).ids]:
        raise EncoderError(f"{name} cannot be a teacher: its vocabulary is not BERT's uncased one")
    reserved = model.config.pad_token_id + 1 if kind == "mpnet" else 0
    return TeacherEncoder(
        name, sha256, model, vocabulary, min(LONGEST, model.config.max_position_embeddings - reserved)
    )


def teacher_labels(fits: Fits, texts: ComposedTexts, folder: RunFolder, progress: Progress) -> NDArray[np.float64]:
    """Labels FP64 [10, U] by the ten teachers, NaN for texts that one has seen."""
    plans = [
        Plan(f"teacher-{number}-of-{len(FOLD_PAIRS)}", 0, pair, scored)
        for number, (pair, scored) in enumerate(zip(FOLD_PAIRS, labelled_by(texts), strict=True), start=1)
    ]
    human = np.tile(texts.target, (len(plans), 1))
    return np.stack([fitted.scores for fitted in fits.run(plans, human, folder, progress)])
