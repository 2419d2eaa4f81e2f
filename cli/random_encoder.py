"""`readability random-encoder`."""

from pathlib import Path

import click

from readability_triton.cli.display import console
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.repository import copy_repository
from readability_triton.stages.precision import Precision
from readability_triton.training.build import best_precision
from readability_triton.training.random_encoder import put_random_encoder


@click.command(
    epilog="""\b
Examples:
  readability random-encoder build/bert-large
  readability placements --model-repository build/bert-large --placement gpu"""
)
@click.argument("folder", type=click.Path(exists=False, path_type=Path))
@model_repository_option
def random_encoder(folder: Path, model_repository: Path) -> None:
    """Copy the model repository to FOLDER, with an encoder of BERT-large's size and random weights.

    For measuring speed, which does not depend on the weights. Its scores mean nothing.
    """
    with one_line(ServingError, OSError, KeyError), console.status("building …"):
        check_built(model_repository)
        precision: Precision = best_precision()
        put_random_encoder(copy_repository(model_repository, folder), precision)
    console.print(f"Built {folder}: random weights of BERT-large's size ({precision}) in the slot bert-large.")
