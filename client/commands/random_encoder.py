"""`readability random-encoder`."""

from pathlib import Path

import click

from client.commands.failures import one_line
from client.commands.options import model_repository_option
from client.display import console
from faults.copies import copy_repository
from serving.artefacts import check_built
from serving.errors import ServingError
from stages.precision import Precision
from training.build import best_precision
from training.random_encoder import put_random_encoder


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
