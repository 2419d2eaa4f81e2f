import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from readability_triton.training import metrics, model_card
from readability_triton.training.evaluate import scorer_metrics
from readability_triton.training.metrics import rmse
from readability_triton.training.model_card import single_task, write_model_card

BANDS = "| target, from hard to easy | rows | RMSE | bias |"
KINDS = "| kind of text, by where it is from | rows | RMSE | bias |"


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "N_RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def hosts(corpus):
    """The corpus, its first 36 rows from two large hosts and the others from small ones, or from none at all."""

    def url(row: int) -> str:
        if row < 36:
            return f"https://{'www.' * (row % 3 == 0)}{'simple' if row % 2 else 'hard'}.example.org/{row // 4}"
        return ["", "no host", f"https://small{row}.example.org"][row % 3]

    return replace(corpus, urls=[url(row) for row in range(len(corpus.texts))])


@pytest.fixture(scope="module")
def write(trained, recipe, corpus, tmp_path_factory):
    """Write a card and read it."""

    def card(teacher: str | None = None, about=corpus, outcome=trained) -> str:
        path: Path = tmp_path_factory.mktemp("card") / "README.md"
        how = single_task(recipe, teacher, outcome.epochs)
        write_model_card(outcome.bundle, outcome.out_of_fold, how, about, "Under CC BY-NC-SA 4.0, at $0.", path)
        return path.read_text(encoding="utf-8")

    return card


@pytest.fixture(scope="module")
def card(write) -> str:
    return write()


@pytest.fixture(scope="module")
def card_of_hosts(write, hosts) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_card, "SMALLEST_KIND", 18)
        return write(about=hosts)


def table(card: str, head: str) -> list[list[str]]:
    """Cells of the table under this head."""
    _, found, after = card.partition(head + "\n| --- | --- | --- | --- |\n")
    assert found
    return [line.strip("| ").split(" | ") for line in after.partition("\n\n")[0].splitlines()]


def figures(card: str, head: str) -> list[tuple[str, int, float, float]]:
    """Name, rows, RMSE and bias."""
    return [(name, int(rows), float(e.split()[0]), float(bias)) for name, rows, e, bias in table(card, head)]


def blend(trained) -> np.ndarray:
    weight = trained.bundle.facts.bert_weight
    return weight * trained.out_of_fold.bert + (1 - weight) * trained.out_of_fold.cuml


def test_the_card_has_a_row_of_figures_with_intervals_for_every_scorer(card, trained, corpus):
    for name, each in scorer_metrics(trained.out_of_fold, corpus, trained.bundle.facts.bert_weight).items():
        cells = (f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in (each.rmse, each.pearson, each.spearman))
        assert f"| {name} | {' | '.join(cells)} |" in card


def test_the_card_says_what_was_trained_on_what(card, trained, tiny):
    assert f"`{tiny.name}`; sha256 of its weights `{tiny.sha256}`" in card
    assert "on the outputs of layers 2, 3," in card
    assert f"{trained.bundle.facts.bert_weight} of the encoder" in card
    assert "60 excerpts from 20 sources" in card


def test_the_card_opens_with_what_made_the_weights(card, write, trained):
    assert card.splitlines()[2:4] == [
        "Made by `readability train`.",
        "`readability build` joins it with the base encoder.",
    ]
    facts = replace(trained.bundle.facts, made_by="hand, on a slate")
    other = write(outcome=replace(trained, bundle=replace(trained.bundle, facts=facts)))
    assert other.splitlines()[2] == "Made by hand, on a slate."


def test_the_card_says_how_to_train_on_other_data(card):
    assert "`readability train --data mine.csv --bundle my_bundle`" in card


def test_the_card_tells_the_recipe(write, trained, recipe):
    tuned = write(outcome=replace(trained, epochs=2))
    assert "layers 2 to 3, 2 epochs planned for 2" in tuned
    for setting in ("AdamW at 0.01", "0.8 of that a layer down", "10% warm-up", "batches of 8", "clipped at 1"):
        assert setting in tuned


def test_the_card_says_where_nothing_was_tuned(write, trained):
    frozen = write(outcome=replace(trained, epochs=0))
    assert "| fine-tuned | nothing: the encoder is frozen and the linear layer a ridge regression |" in frozen
    assert "AdamW" not in frozen


@pytest.mark.parametrize("teacher", ["all-mpnet-base-v2", "/home/someone/all-mpnet-base-v2/", "org/all-mpnet-base-v2"])
def test_the_card_says_whose_judgement_is_in_the_targets_and_not_where_it_lay(write, card, teacher):
    assert "| targets | the human scores |" in card
    (targets,) = re.findall(r"\| targets \| (.*) \|", write(teacher))
    assert targets.startswith("30% the human score, 70% what a ridge regression")
    assert "`all-mpnet-base-v2`" in targets


def test_the_card_gives_the_yardstick_of_always_saying_the_mean(card, corpus):
    assert f"standard deviation is {corpus.targets.std():.3f}" in card


def test_the_card_names_the_licence_and_what_the_scores_are_not_for(card):
    assert "Under CC BY-NC-SA 4.0, at $0." in card
    assert "## Not for" in card


def test_nothing_is_left_to_be_filled_in(card):
    assert not re.findall(r"\$[a-z{]", card)


def test_fifths_of_the_targets_cover_all_rows_from_hard_to_easy(card, corpus, trained):
    bands = figures(card, BANDS)
    assert [rows for _, rows, _, _ in bands] == [12] * 5
    edges = np.quantile(corpus.targets, np.linspace(0, 1, 6))
    assert [name for name, *_ in bands] == [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
    in_order = np.argsort(corpus.targets)
    for number, (_, _, error, bias) in enumerate(bands):
        rows = in_order[12 * number : 12 * (number + 1)]
        assert error == pytest.approx(rmse(blend(trained)[rows], corpus.targets[rows]), abs=6e-4)
        assert bias == pytest.approx((blend(trained) - corpus.targets)[rows].mean(), abs=6e-4)


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_equal_targets_fall_into_one_band_and_empty_bands_are_left_out(write, corpus):
    bands = figures(write(about=replace(corpus, targets=np.repeat([0.0, 1.0], [45, 15]))), BANDS)
    assert sum(rows for _, rows, _, _ in bands) == 60
    assert len(bands) == 2


def test_kinds_are_hosts_with_many_rows_and_all_others_together(card_of_hosts, hosts, trained):
    kinds = figures(card_of_hosts, KINDS)
    assert sorted((name, rows) for name, rows, _, _ in kinds) == [
        ("hard.example.org", 18),
        ("others", 24),
        ("simple.example.org", 18),
    ]
    assert kinds[-1][0] == "others"
    for name, _, error, bias in kinds:
        rows = [row for row, url in enumerate(hosts.urls) if (name in url if name != "others" else row >= 36)]
        assert error == pytest.approx(rmse(blend(trained)[rows], hosts.targets[rows]), abs=6e-4)
        assert bias == pytest.approx((blend(trained) - hosts.targets)[rows].mean(), abs=6e-4)


def test_rows_of_one_large_host_leave_no_others(write, corpus):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_card, "SMALLEST_KIND", 60)
        assert [kind[:2] for kind in figures(write(), KINDS)] == [("example.org", 60)]
        blank = replace(corpus, urls=[""] * 60)
        assert [kind[:2] for kind in figures(write(about=blank), KINDS)] == [("no host", 60)]


@pytest.mark.parametrize("url", ["http://[see the library's copy", "https://[::1", "//[x]y/"])
def test_a_source_that_is_no_proper_url_does_not_spoil_the_card(write, corpus, url):
    about = replace(corpus, urls=[url, *corpus.urls[1:]])
    assert sum(rows for _, rows, _, _ in figures(write(about=about), KINDS)) == 60
