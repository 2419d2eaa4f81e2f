import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.stages.tokens import tokenize
from readability_triton.training.multitask.compose import Composer, Kind
from readability_triton.training.multitask.token_store import BERT, MPNET, TokenStore

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_batch_holds_each_texts_tokens_between_the_special_ones(store, texts, data):
    numbers = data.draw(
        st.lists(st.integers(0, len(texts.kind) - 1), min_size=2, max_size=8).filter(lambda n: len(n) % 2 == 0)
    )
    chosen = np.array(numbers).reshape(2, -1)
    ids, mask, _ = store.batch(chosen)
    assert ids.shape[:2] == chosen.shape
    assert ids.shape[2] % 16 == 0
    for number, row, real in zip(
        chosen.ravel(), ids.reshape(-1, ids.shape[2]), mask.reshape(-1, ids.shape[2]), strict=True
    ):
        assert row[real].tolist() == [101, *texts.text_tokens(number)[:62], 102]


def test_counts_are_those_that_the_served_encoder_makes(store, texts, counts, corpus, tiny):
    rows = texts.of(Kind.ROW)[:5]
    _, _, found = store.batch(rows[None])
    ids, mask = tokenize(corpus.texts[:5], tiny.tokenizer)
    torch.testing.assert_close(found[0], counts(torch.from_numpy(ids), torch.from_numpy(mask)))


def test_mpnets_ids_are_four_higher_and_their_ends_its_own(texts, store, counts):
    other = TokenStore(texts, MPNET, counts, CPU, longest=64)
    chosen = np.array([[0, 70]])
    ids, mask, found = other.batch(chosen)
    berts, _, same = store.batch(chosen)
    for row in range(2):
        n = int(mask[0, row].sum())
        assert (ids[0, row, 0], ids[0, row, n - 1]) == (0, 2)
        assert torch.equal(ids[0, row, 1 : n - 1], berts[0, row, 1 : n - 1] + 4)
    torch.testing.assert_close(found, same)


def test_a_text_that_is_too_long_is_cut_and_still_ends(tiny, counts):
    composer = Composer(tiny.tokenizer, 0)
    composer.add_prose(["Go. " * 400])
    texts = composer.composed()
    ids, mask, _ = TokenStore(texts, BERT, counts, CPU).batch(texts.of(Kind.PROSE)[None])
    assert ids.shape[2] == int(mask.sum()) == 512
    assert (ids[0, 0, 0], ids[0, 0, -1]) == (101, 102)
