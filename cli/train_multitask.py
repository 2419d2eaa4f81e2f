"""`readability train-multitask`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import data_licence_option, device_option, new_bundle_option
from readability_triton.cli.samples import sample_passages
from readability_triton.stages.features import FeatureSpec
from readability_triton.training.base_encoder import DEFAULT_ENCODER, EncoderError, load_base_encoder
from readability_triton.training.compute import choose_compute
from readability_triton.training.corpus import CorpusError
from readability_triton.training.model_card import write_model_card
from readability_triton.training.multitask.log import write_log
from readability_triton.training.multitask.model_card import multitask
from readability_triton.training.multitask.read_texts import read_sources
from readability_triton.training.multitask.recipe import DEFAULT_RECIPE, read_recipe
from readability_triton.training.multitask.teachers import load_teacher_encoder
from readability_triton.training.multitask.train import MultitaskTraining
from readability_triton.training.multitask.train import train_multitask as fit
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.yardsticks.measure import yardsticks_of_corpus, yardsticks_of_files

_CSV = click.Path(exists=True, dir_okay=False, path_type=Path)
AT_ONCE = {"cpu": 1, "cuda": 10}


@click.command(
    epilog="""\b
Examples:
  readability train-multitask --data mine.csv --bundle my_bundle        # your own scores alone
  readability train-multitask --data train.csv --levels sentences.csv --pairs pairs.csv --bundle my_bundle
  readability train-multitask --data train.csv --prose passages.csv --levels sentences.csv --pairs asset.csv \\
      --teacher sentence-transformers/all-mpnet-base-v2 --device cuda --bundle my_bundle
  readability build --bundle my_bundle"""
)
@click.option("--data", type=_CSV, required=True, help="CSV: excerpt, target, url.")
@click.option("--prose", type=_CSV, multiple=True, help="CSV with a column text; needs a teacher.")
@click.option("--levels", type=_CSV, multiple=True, help="CSV: sentence, level (or level_a, level_b), source.")
@click.option("--pairs", type=_CSV, multiple=True, help="CSV: harder, easier (or original, simple_0, …).")
@click.option("--encoder", default=DEFAULT_ENCODER, show_default=True, help="Hub id or folder of an uncased BERT.")
@click.option("--teacher", help="Hub id or folder of a larger BERT or MPNet, fine-tuned ten times to label the texts.")
@click.option(
    "--recipe", type=_CSV, default=DEFAULT_RECIPE, show_default="that of the bundle in the project", help="TOML."
)
@device_option
@click.option(
    "--at-once", type=click.IntRange(1), help="Models computed side by side.  [default: 1 on a CPU, 10 on a GPU]"
)
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/training-multitask"),
    show_default=True,
    help="What is done already. The same command goes on where it was stopped.",
)
@new_bundle_option
@click.option("--seed", default=0, show_default=True)
@data_licence_option
def train_multitask(
    data: Path,
    prose: tuple[Path, ...],
    levels: tuple[Path, ...],
    pairs: tuple[Path, ...],
    encoder: str,
    teacher: str | None,
    recipe: Path,
    device: str,
    at_once: int | None,
    run: Path,
    bundle: Path,
    seed: int,
    data_licence: str,
) -> None:
    """Fine-tune the encoder on several tasks at once, with teachers, after a cross-validation by url.

    Besides scored excerpts it learns from parts of them, from sentences with levels, from pairs in order, and from
    what teachers say of all of them and of prose; whatever is not given is left out. Writes a bundle for `readability
    build`, with a model card, the recipe and the log of the run. Stopped at any point, the same command goes on and
    loses at most 100 steps.
    """
    with one_line(CorpusError, EncoderError, OSError, ValueError):
        if prose and not teacher:
            raise ValueError("--prose needs --teacher: passages without scores are labelled by teachers")
        sources = read_sources(data, prose, levels, pairs)
        yardsticks = [*yardsticks_of_corpus(sources.corpus), *yardsticks_of_files(pairs, levels)]
        FeatureSpec.fit(sources.corpus.texts)  # refuses a corpus with too few words, before anything is computed
        compute, base, settings = choose_compute(device), load_base_encoder(encoder), read_recipe(recipe)
        judge = load_teacher_encoder(teacher, base.tokenizer) if teacher else None
        side_by_side = at_once or AT_ONCE[compute.device.type]
        samples = list(sample_passages().values())
        task = MultitaskTraining(sources, yardsticks, base, judge, settings, samples, compute, side_by_side, seed)
        for model, is_teacher in ((settings.student, False), (settings.teacher, True)):
            if judge or not is_teacher:
                task.encoder(model, is_teacher)  # refuses layers that are not there, before anything is written
        folder = RunFolder(run, _settings(task, [data, *prose, *levels, *pairs]))
        if folder.resumed:
            console.print(f"Going on with the run in {run}.")
        trained = fit(task, folder, progress)
        trained.bundle.save(bundle)
        with console.status("measuring …"):
            how = multitask(task, trained)
            write_model_card(
                trained.bundle, trained.out_of_fold, how, sources.corpus, data_licence, bundle / "README.md"
            )
        write_log(trained, bundle / "figures.jsonl")
        (bundle / "recipe.toml").write_bytes(recipe.read_bytes())
    click.echo((bundle / "README.md").read_text(encoding="utf-8"))


def _settings(task: MultitaskTraining, files: Sequence[Path]) -> dict[str, object]:
    return {
        "data_sha256": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "encoder": task.base.name,
        "encoder_sha256": task.base.sha256,
        "teacher_sha256": task.teacher and task.teacher.sha256,
        "recipe": json.loads(json.dumps(asdict(task.recipe))),
        "device": str(task.compute.device),
        "dtype": str(task.compute.dtype),
        "at_once": task.at_once,
        "seed": task.seed,
    }
