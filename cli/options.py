"""Options that several commands share."""

from pathlib import Path

import click

from readability_triton.serving.repository import default_repository

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

model_repository_option = click.option(
    "--model-repository",
    type=_FOLDER,
    default=default_repository,
    show_default="the project's",
    help="Folder with a folder for each model.",
)

bundle_option = click.option(
    "--bundle",
    type=_FOLDER,
    default=Path(__file__).parents[1] / "training" / "bundles" / "minilm",
    show_default="the one that comes with the project",
    help="What `readability train` wrote.",
)
