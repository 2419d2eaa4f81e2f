"""`readability build`."""

from pathlib import Path
from typing import Literal, get_args

import click
from treelite import TreeliteError

from readability_triton.cli.display import console
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.stages.precision import Precision
from readability_triton.training.base_encoder import EncoderError
from readability_triton.training.build import PACKAGED, BuildError, Format, best_precision, build_repository
from readability_triton.training.bundle import Bundle


@click.command(
    epilog="""\b
Examples:
  readability build
  readability build --bundle my_bundle
  readability build --precision fp32
  readability build --format pt2          # a package of AOTInductor, compiled for this machine: needs a C++ compiler"""
)
@bundle_option
@model_repository_option
@click.option(
    "--precision",
    type=click.Choice(["auto", *get_args(Precision)]),
    default="auto",
    show_default=True,
    help="Of the encoder's layers. auto: bf16 where this machine multiplies it, else int8.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(get_args(Format)),
    default="torchscript",
    show_default=True,
    help="What is served: model.pt, or model.pt2, which takes two minutes to compile.",
)
def build(bundle: Path, model_repository: Path, precision: Precision | Literal["auto"], file_format: Format) -> None:
    """Join a bundle with its base encoder: write model.pt, checkpoint.tl and what preprocess needs.

    Says in the configurations which encoder is in the slot, and checks the result against the scores in the bundle.
    """
    with (
        one_line(EncoderError, BuildError, TreeliteError, OSError, RuntimeError, ValueError, KeyError),
        console.status("building …"),
    ):
        trained = Bundle.load(bundle)
        chosen = best_precision() if precision == "auto" else precision
        if file_format == "pt2" and precision == "auto" and chosen not in PACKAGED:
            chosen = "fp32"
        texts = list(sample_passages().values())
        build_repository(trained, model_repository, texts, precision=chosen, file_format=file_format)
    pt2 = ", pt2" if file_format == "pt2" else ""
    slot = f"{trained.facts.encoder} ({chosen}{pt2}) in the slot bert-large"
    console.print(f"Built {model_repository}: {slot}, a forest in cuml.")
