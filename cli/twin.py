"""`readability twin`."""

import shlex
from pathlib import Path

import click
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.bls.write_twin import TwinError, write_twin
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.ensemble.config import ConfigError
from readability_triton.serving.repository import default_repository


@click.command(
    epilog="""\b
Examples:
  readability twin ensemble_all
  readability twin my_ensemble --name my_conditions --model-repository ~/my_models

\b
Exit codes: 0 written; 1 not written, with the reason; 2 bad usage."""
)
@click.argument("ensemble")
@click.option("--name", help="Of the twin.  [default: ENSEMBLE_bls]")
@model_repository_option
def twin(ensemble: str, name: str | None, model_repository: Path) -> None:
    """Write the BLS twin of ENSEMBLE: a Python model that runs the same steps, and that you may add conditions to."""
    folder = model_repository / _checked(f"{ensemble}_bls" if name is None else name)
    with one_line(ConfigError, TwinError, OSError):
        found = write_twin(model_repository, ensemble, folder)
    click.echo(_what_next(found, folder))


def _checked(name: str) -> str:
    if name in ("", ".", "..") or Path(name).name != name:
        raise click.BadParameter(f"{name!r} cannot be a folder of the repository", param_hint="--name")
    return name


def _what_next(ensemble: ModelConfig, folder: Path) -> str:
    repository = folder.parent.resolve()
    where = "" if repository == default_repository() else f" --model-repository {shlex.quote(str(repository))}"
    texts = {tensor.name for tensor in ensemble.input} == {"excerpt", "BERT_WEIGHT"}
    data = "" if texts else " --input-data requests.json"
    return (
        f"Wrote {folder / 'config.pbtxt'}\n"
        f"      {folder / '1' / 'model.py'}, which says where conditions go\n\n"
        "Next:\n"
        f"  readability serve{where}\n"
        f"  readability compare {ensemble.name} {folder.name}{data}{where}"
    )
