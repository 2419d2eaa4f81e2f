"""`readability train`."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import data_licence_option, device_option, new_bundle_option
from readability_triton.cli.samples import sample_passages
from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.base_encoder import DEFAULT_ENCODER, BaseEncoder, EncoderError, load_base_encoder
from readability_triton.training.compute import Compute, choose_compute
from readability_triton.training.corpus import Corpus, CorpusError, read_corpus
from readability_triton.training.curves import plot_curves
from readability_triton.training.halves import with_halves
from readability_triton.training.model_card import single_task, write_model_card
from readability_triton.training.recipe import Recipe, default_layers
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.teacher import Teacher, load_teacher, teacher_means
from readability_triton.training.train import train as fit


@click.command(
    epilog="""\b
Examples:
  readability train --data train.csv --bundle my_bundle
  readability train --data train.csv --teacher all-mpnet-base-v2/ --bundle my_bundle
  readability train --data train.csv --encoder bert-large-uncased --device cuda --bundle my_bundle
  readability train --data train.csv --epochs 0 --bundle quick_bundle    # frozen encoder: five minutes
  readability build --bundle my_bundle"""
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: excerpt, target, url.",
)
@click.option("--encoder", default=DEFAULT_ENCODER, show_default=True, help="Hub id or folder of an uncased BERT.")
@click.option("--teacher", help="Hub id or folder of a larger encoder whose predictions are mixed into the targets.")
@click.option("--layers", help="Layers to average, such as 3,4,5.  [default: the middle ones]")
@click.option("--frozen-layers", type=click.IntRange(0), default=0, show_default=True, help="Lower layers to leave.")
@click.option("--epochs", type=click.IntRange(0), default=Recipe.epochs, show_default=True)
@click.option("--learning-rate", default=Recipe.learning_rate, show_default=True, help="Of the highest layer.")
@click.option("--teacher-share", type=click.FloatRange(0, 1), default=Recipe.teacher_share, show_default=True)
@device_option
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/training"),
    show_default=True,
    help="Checkpoints, log and curves. The same command goes on where it was stopped.",
)
@new_bundle_option
@click.option("--jobs", type=click.IntRange(1), help="Fits to run at once.  [default: 2 on a CPU, 1 on a GPU]")
@click.option("--seed", default=0, show_default=True)
@data_licence_option
def train(
    data: Path,
    encoder: str,
    teacher: str | None,
    layers: str | None,
    frozen_layers: int,
    epochs: int,
    learning_rate: float,
    teacher_share: float,
    device: str,
    run: Path,
    bundle: Path,
    jobs: int | None,
    seed: int,
    data_licence: str,
) -> None:
    """Fine-tune the encoder and fit the forest, after a cross-validation by url.

    Writes a bundle for `readability build`, with a model card that holds the figures. Stopped at any point, the same
    command goes on and loses at most one epoch.
    """
    with one_line(CorpusError, EncoderError, OSError, ValueError):
        corpus, compute, base = read_corpus(data), choose_compute(device), load_base_encoder(encoder)
        chosen = map(int, layers.split(",")) if layers else default_layers(base.bert.config.num_hidden_layers)
        recipe = Recipe(
            n_frozen=frozen_layers,
            layers=tuple(chosen),
            epochs=epochs,
            learning_rate=learning_rate,
            teacher_share=teacher_share,
        )
        PooledEncoder(
            base.bert, recipe.layers
        )  # refuses layers that the encoder does not have, before anything is written
        judge = load_teacher(teacher) if teacher else None
        folder = RunFolder(run, _settings(data, base, judge, recipe, compute, seed))
        if folder.resumed:
            console.print(f"Going on with the run in {run}.")
        means = _teacher_means(folder, judge, corpus, compute) if judge else None
        at_once = jobs or (2 if compute.device.type == "cpu" else 1)
        samples = list(sample_passages().values())
        trained = fit(corpus, base, recipe, means, samples, folder, compute, progress, seed, at_once)
        trained.bundle.save(bundle)
        plot_curves(folder.log(), run / "curves.svg")
        with console.status("measuring …"):
            how = single_task(recipe, teacher, trained.epochs)
            write_model_card(trained.bundle, trained.out_of_fold, how, corpus, data_licence, bundle / "README.md")
    console.print(f"Log and curves: {run}/log.csv, {run}/curves.svg")
    click.echo((bundle / "README.md").read_text(encoding="utf-8"))


def _settings(
    data: Path, base: BaseEncoder, teacher: Teacher | None, recipe: Recipe, compute: Compute, seed: int
) -> dict[str, object]:
    return {
        "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "encoder": base.name,
        "encoder_sha256": base.sha256,
        "teacher_sha256": teacher and teacher.sha256,
        **asdict(recipe),
        "device": str(compute.device),
        "dtype": str(compute.dtype),
        "seed": seed,
    }


def _teacher_means(folder: RunFolder, teacher: Teacher, corpus: Corpus, compute: Compute) -> NDArray[np.float32]:
    """The teacher's mean states of the excerpts and their halves, from the run folder if it has them."""
    kept = folder.path / "teacher.npy"
    if not kept.is_file():
        texts = with_halves(corpus.texts)
        with progress(f"encoding with the teacher, {teacher.name}", len(texts)) as on_progress:
            means = teacher_means(teacher, texts, compute, on_progress)
        np.save(kept.with_suffix(".unfinished.npy"), means)
        kept.with_suffix(".unfinished.npy").replace(kept)
    return np.load(kept)
