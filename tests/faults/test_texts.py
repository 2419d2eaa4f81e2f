"""Texts to send: own ones, each different, the same for the same seed."""

from readability_triton.faults.texts import own_texts


def test_texts_differ_and_can_be_drawn_again() -> None:
    texts = own_texts(100, seed=3)
    assert len(set(texts)) == 100
    assert texts == own_texts(100, seed=3)
    assert texts != own_texts(100, seed=4)
    assert all(text.strip() for text in texts)
