import pytest

from training import metrics
from training.evaluate import scorer_metrics
from training.model_card import write_model_card


@pytest.fixture(scope="module")
def card(trained, corpus, tmp_path_factory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "N_RESAMPLES", 50)
        write_model_card(
            trained, corpus, "Under CC BY-NC-SA 4.0.", path := tmp_path_factory.mktemp("card") / "README.md"
        )
    return path.read_text()


def test_the_card_has_a_row_of_figures_with_intervals_for_every_scorer(card, trained, corpus, monkeypatch):
    monkeypatch.setattr(metrics, "N_RESAMPLES", 50)
    for name, each in scorer_metrics(trained.out_of_fold, corpus, trained.bundle.facts.bert_weight).items():
        figures = (f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in (each.rmse, each.pearson, each.spearman))
        assert f"| {name} | {' | '.join(figures)} |" in card


def test_the_card_says_what_was_trained_on_what(card, trained, tiny):
    assert f"`{tiny.name}`, frozen; sha256 of its weights `{tiny.sha256}`" in card
    assert "layers 1, 2," in card
    assert f"{trained.bundle.facts.bert_weight} of the encoder" in card
    assert "60 excerpts from 20 sources" in card


def test_the_card_gives_the_yardstick_of_always_saying_the_mean(card, corpus):
    assert f"standard deviation is {corpus.targets.std():.3f}" in card


def test_the_card_names_the_licence_and_what_the_scores_are_not_for(card):
    assert "CC BY-NC-SA 4.0" in card
    assert "## Not for" in card


def test_nothing_is_left_to_be_filled_in(card):
    assert "$" not in card
