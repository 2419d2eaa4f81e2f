"""`readability build`."""

from pathlib import Path

import click

from client.commands.failures import one_line
from client.commands.options import bundle_option, model_repository_option
from client.display import console
from client.samples import sample_passages
from training.base_encoder import EncoderError
from training.build import BuildError, build_repository
from training.bundle import Bundle


@click.command(
    epilog="""\b
Examples:
  readability build
  readability build --bundle my_bundle"""
)
@bundle_option
@model_repository_option
def build(bundle: Path, model_repository: Path) -> None:
    """Join a bundle with its base encoder: write model.pt, checkpoint.tl and what preprocess needs.

    Says in the configurations which encoder is in the slot, and checks the result against the scores in the bundle.
    """
    with one_line(EncoderError, BuildError, OSError, ValueError, KeyError), console.status("building …"):
        trained = Bundle.load(bundle)
        build_repository(trained, model_repository, list(sample_passages().values()))
    console.print(f"Built {model_repository}: {trained.facts.encoder} in the slot bert-large, a forest in cuml.")
