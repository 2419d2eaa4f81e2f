"""`readability refit`."""

from pathlib import Path

import click
import numpy as np

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option
from readability_triton.cli.samples import sample_passages
from readability_triton.training.bundle import Bundle
from readability_triton.training.corpus import CorpusError, read_corpus
from readability_triton.training.evaluate import predict_out_of_fold, scorer_metrics
from readability_triton.training.refit import refit as fit_anew


@click.command(
    epilog="""\b
Examples:
  readability refit --data train.csv --bundle my_bundle && readability build --bundle my_bundle"""
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The CSV that the bundle was trained on: excerpt, target, url.",
)
@click.option("--seed", default=0, show_default=True)
@bundle_option
def refit(data: Path, seed: int, bundle: Path) -> None:
    """Fit a bundle's forest anew where the rules of counting have changed; the encoder stays as it is.

    Takes a minute. The model card's figures of the forest are printed for you to put there.
    """
    with one_line(CorpusError, OSError, ValueError):
        corpus, trained = read_corpus(data), Bundle.load(bundle, oldest=1)
        fitted = fit_anew(trained, corpus, list(sample_passages().values()), progress, seed)
        fitted.save(bundle)
    for name, figures in scorer_metrics(predict_out_of_fold(corpus, fitted), corpus, fitted.facts.bert_weight).items():
        console.print(f"{name}: {figures}")
    if trained.facts.interval and not fitted.facts.interval:
        console.print("The blend has changed: its intervals were left out, calibrate them anew.")
    if n_without := int(np.isnan(fitted.out_of_fold.cuml).sum()):
        console.print(f"{n_without} texts that are not in {data} keep the encoder's out-of-fold score only.")
    console.print(f"Wrote {bundle}; `readability build` takes it from there.")
