"""`readability train`."""

from pathlib import Path

import click

from client.commands.failures import one_line
from client.display import console, progress
from client.samples import sample_passages
from training.base_encoder import DEFAULT_ENCODER, EncoderError, load_base_encoder
from training.bundle import DEFAULT_BUNDLE
from training.corpus import CorpusError, read_corpus
from training.model_card import write_model_card
from training.train import train as fit


@click.command(
    epilog="""\b
Examples:
  readability train --data train.csv --bundle my_bundle
  readability train --data train.csv --encoder bert-large-uncased --bundle my_bundle
  readability build --bundle my_bundle"""
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: excerpt, target, url.",
)
@click.option("--encoder", default=DEFAULT_ENCODER, show_default=True, help="Hub id or folder of an uncased BERT.")
@click.option("--layers", help="Layers to average, such as 1,2,3,4.  [default: four of the lower two thirds]")
@click.option(
    "--bundle",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_BUNDLE,
    show_default="the one that comes with the project",
    help="Where to write what was learned.",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--data-licence",
    default="The licence of the data, which these weights carry on, was not stated.",
    help="A sentence for the model card.",
)
def train(data: Path, encoder: str, layers: str | None, bundle: Path, seed: int, data_licence: str) -> None:
    """Fit the linear layer on a frozen encoder and the forest, after a cross-validation by url.

    Writes a bundle for `readability build`, with a model card that holds the figures.
    """
    with one_line(CorpusError, EncoderError, OSError, ValueError):
        corpus = read_corpus(data)
        chosen = tuple(int(layer) for layer in layers.split(",")) if layers else None
        trained = fit(corpus, load_base_encoder(encoder), chosen, list(sample_passages().values()), progress, seed)
        trained.bundle.save(bundle)
        with console.status("measuring …"):
            write_model_card(trained, corpus, data_licence, bundle / "README.md")
    click.echo((bundle / "README.md").read_text(encoding="utf-8"))
