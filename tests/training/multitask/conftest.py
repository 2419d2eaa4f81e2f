import random

import numpy as np
import pytest
import torch
from transformers import MPNetConfig, MPNetModel

from readability_triton.stages.counts import TokenCounts, token_table
from readability_triton.training.multitask.compose import ComposedTexts, Composer, Simplifications
from readability_triton.training.multitask.stacked_encoder import Layers, StackedEncoder
from readability_triton.training.multitask.token_store import BERT, TokenStore
from readability_triton.training.yardsticks.levels import LevelledTexts

WORDS = ("go", "stay", "considerable", "unaffable", "house", "melancholy", "red", "instrumentation")
CPU = torch.device("cpu")


def sentence(rng: random.Random, longest: int = 7) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, longest))).capitalize() + "."


@pytest.fixture(scope="session")
def levelled() -> LevelledTexts:
    rng = random.Random(4)
    sentences = [sentence(rng) for _ in range(60)]
    levels = np.array([1.0 + min(2, len(each.split()) // 3) for each in sentences])
    return LevelledTexts(sentences, levels, [("books", "web")[row % 2] for row in range(60)])


@pytest.fixture(scope="session")
def simplifications() -> Simplifications:
    rng = random.Random(5)
    return Simplifications(
        [sentence(rng) for _ in range(40)], [[sentence(rng, 3) for _ in range(3)] for _ in range(40)]
    )


@pytest.fixture(scope="session")
def prose() -> list[str]:
    rng = random.Random(6)
    return [" ".join(sentence(rng) for _ in range(4)) for _ in range(10)]


@pytest.fixture(scope="session")
def texts(corpus, levelled, simplifications, prose, tiny) -> ComposedTexts:
    composer = Composer(tiny.tokenizer, seed=7)
    composer.add_corpus(corpus, seed=3)
    composer.add_prose(prose)
    composer.add_levels(levelled)
    composer.add_pairs(simplifications, 30)
    return composer.composed()


@pytest.fixture(scope="session")
def counts(tiny) -> TokenCounts:
    return TokenCounts(token_table(tiny.tokenizer, 30522))


@pytest.fixture(scope="session")
def stacked(tiny) -> StackedEncoder:
    return StackedEncoder(tiny.bert, Layers(3, 1, (2, 3)), CPU, torch.float32)


@pytest.fixture(scope="session")
def store(texts, counts) -> TokenStore:
    return TokenStore(texts, BERT, counts, CPU, longest=64)


@pytest.fixture(scope="session")
def tiny_mpnet() -> MPNetModel:
    torch.manual_seed(8)
    config = MPNetConfig(
        vocab_size=30527,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=514,
        layer_norm_eps=1e-5,
    )
    return MPNetModel(config, add_pooling_layer=False).eval()
