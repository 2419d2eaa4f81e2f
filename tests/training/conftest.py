"""A small corpus of made-up sentences, a small random BERT, and what training makes of the two."""

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from readability_triton.serving.artefacts import ARTEFACTS, missing_artefacts
from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training import base_encoder
from readability_triton.training.base_encoder import BaseEncoder, load_base_encoder
from readability_triton.training.build import build_repository
from readability_triton.training.compute import Compute
from readability_triton.training.corpus import Corpus
from readability_triton.training.recipe import Recipe
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.train import Trained, train

ROOT = Path(__file__).parents[2]
WORDS = ["".join(parts) for parts in itertools.product("bdfgklmnprst", ("a", "ee", "oi", "u"), ("n", "sk", "rt", "ly"))]
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: models this small gain nothing from more, which wait for one another on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made_up_text(rng: random.Random, n_sentences: int = 6) -> str:
    sentences = (" ".join(rng.choices(WORDS, k=rng.randint(4, 14))) for _ in range(n_sentences))
    return " ".join(f"{sentence.capitalize()}." for sentence in sentences)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """60 rows from 20 sources; long words make a text harder."""
    rng = random.Random(1)
    texts = [made_up_text(rng) for _ in range(60)]
    targets = np.array([3 - len(text) / text.count(" ") + rng.gauss(0, 0.2) for text in texts])
    return Corpus(texts, targets, [f"https://example.org/{row % 20}" for row in range(60)])


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers with random weights, and the packaged tokenizer."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    packaged = base_encoder._packaged_folder()
    for name in TOKENIZER_FILES:
        shutil.copy(packaged / name, folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> BaseEncoder:
    return load_base_encoder(str(tiny_folder))


@pytest.fixture(scope="session")
def pretrained(tiny: BaseEncoder) -> PooledEncoder:
    """The tiny encoder with one layer to be frozen and two to be tuned; its linear layer is random."""
    torch.manual_seed(1)
    return PooledEncoder(tiny.bert, (2, 3)).eval()


@pytest.fixture(scope="session")
def exact() -> Compute:
    """FP32 on the CPU, whatever this machine would choose for itself."""
    return Compute(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """A recipe from which sixteen hidden numbers learn something in two epochs."""
    return Recipe(1, (2, 3), epochs=2, learning_rate=0.01, batch=8, averaging=0.5, ridge_penalty=10.0)


class ProgressLog:
    """Remembers what was announced and how far it came."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.totals[title] = total
        self.done[title] = 0

        def on_progress(more: int) -> None:
            self.done[title] += more

        yield on_progress


@pytest.fixture
def progress() -> ProgressLog:
    return ProgressLog()


@pytest.fixture(scope="session")
def reference_texts() -> list[str]:
    rng = random.Random(2)
    return [made_up_text(rng) for _ in range(3)]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """What `trained` kept; not to be changed."""
    return RunFolder(tmp_path_factory.mktemp("run"), {})


@pytest.fixture(scope="session")
def trained(
    corpus: Corpus,
    tiny: BaseEncoder,
    recipe: Recipe,
    reference_texts: list[str],
    run_folder: RunFolder,
    exact: Compute,
) -> Trained:
    return train(corpus, tiny, recipe, None, reference_texts, run_folder, exact, ProgressLog(), seed=3)


@pytest.fixture(scope="session")
def make_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Copy the project's model repository without what is built into it."""

    def make() -> Path:
        repository = tmp_path_factory.mktemp("model_repository")
        for config in (ROOT / "model_repository").glob("*/config.pbtxt"):
            (repository / config.parent.name / "1").mkdir(parents=True)
            shutil.copy(config, repository / config.parent.name)
        return repository

    return make


@pytest.fixture
def repository(make_repository: Callable[[], Path]) -> Path:
    return make_repository()


@pytest.fixture(scope="session")
def built(make_repository: Callable[[], Path], trained: Trained, tiny: BaseEncoder, reference_texts: list[str]) -> Path:
    """A repository with the trained bundle built into it; not to be changed."""
    repository = make_repository()
    assert missing_artefacts(repository) == list(ARTEFACTS)
    build_repository(trained.bundle, repository, reference_texts, tiny)
    return repository
