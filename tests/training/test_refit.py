"""A bundle whose forest is fitted anew, the encoder kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from readability_triton.stages.features import extract
from readability_triton.stages.interval import IntervalTable
from readability_triton.training.bundle import FORMAT, Bundle
from readability_triton.training.corpus import Corpus
from readability_triton.training.evaluate import predict_out_of_fold
from readability_triton.training.refit import refit

pytestmark = pytest.mark.slow


def test_a_refit_by_the_same_rules_changes_nothing(trained, corpus: Corpus) -> None:
    again = refit(trained.bundle, corpus, [], seed=3)
    assert again.forest == trained.bundle.forest
    np.testing.assert_array_equal(again.out_of_fold.cuml, trained.bundle.out_of_fold.cuml)
    np.testing.assert_array_equal(extract(corpus.texts, again.features), extract(corpus.texts, trained.bundle.features))


def test_a_refit_keeps_the_encoder_and_its_scores(trained, corpus: Corpus) -> None:
    again = refit(trained.bundle, corpus, [], seed=4)
    assert again.changes is trained.bundle.changes
    kept = predict_out_of_fold(corpus, trained.bundle).bert
    np.testing.assert_array_equal(predict_out_of_fold(corpus, again).bert, kept)
    assert again.forest != trained.bundle.forest


def test_intervals_of_another_blend_are_left_out(trained, corpus: Corpus) -> None:
    table = IntervalTable(0.9, 215, [], [[]], [[-1.0]], [[1.0]])
    facts = replace(trained.bundle.facts, bert_weight=0.123, interval=table)
    assert refit(replace(trained.bundle, facts=facts), corpus, [], seed=3).facts.interval is None


def test_a_bundle_of_an_earlier_format_is_refused_with_advice_and_can_be_refitted(
    trained, corpus: Corpus, tmp_path: Path
) -> None:
    trained.bundle.save(tmp_path)
    facts = json.loads((tmp_path / "bundle.json").read_text())
    del facts["format"]  # the first did not say
    (tmp_path / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=f"format is 1, this program reads {FORMAT}.*readability refit --data"):
        Bundle.load(tmp_path)
    assert refit(Bundle.load(tmp_path, oldest=1), corpus, [], seed=3).facts.format == FORMAT


def test_a_bundle_of_a_later_format_is_refused(trained, tmp_path: Path) -> None:
    replace(trained.bundle, facts=replace(trained.bundle.facts, format=FORMAT + 1)).save(tmp_path)
    with pytest.raises(ValueError, match=f"format is {FORMAT + 1}"):
        Bundle.load(tmp_path)
