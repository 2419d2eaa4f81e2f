"""`readability twin`."""

import shlex
import shutil
from pathlib import Path

import click
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.commands.failures import one_line
from client.commands.options import model_repository_option
from ensemble.config import ConfigError, as_text, read_ensemble
from ensemble.dag import Dag
from ensemble.run import check_runnable
from ensemble.twin import twin_config, what_no_twin_can_follow
from serving.server import DEFAULT_REPOSITORY

MODEL = Path(__file__).parent / "templates" / "twin_model.py"
HEADER = """\
# The BLS twin of {ensemble}, written by `readability twin`: its steps are those of ../{ensemble}/config.pbtxt.
# {scheduling} Whether more instances are faster, measure.
"""
BATCHED = "An instance has one batch in flight, and requests that wait share the next."
UNBATCHED = "Not every step takes batches, so this model is not batched: an instance has one request in flight."


class TwinError(Exception):
    """There can be no twin; the message says why."""


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
        found, models = read_ensemble(model_repository, ensemble)
        _check(found, models)
        if folder.exists():
            raise TwinError(f"{folder} is there already; remove it or choose another --name")
        config = twin_config(found, models, folder.name)
        (folder / "1").mkdir(parents=True)
        (folder / "config.pbtxt").write_text(_with_header(config, ensemble), encoding="utf-8")
        shutil.copyfile(MODEL, folder / "1" / "model.py")
    click.echo(_what_next(found, folder))


def _checked(name: str) -> str:
    if name in ("", ".", "..") or Path(name).name != name:
        raise click.BadParameter(f"{name!r} cannot be a folder of the repository", param_hint="--name")
    return name


def _check(ensemble: ModelConfig, models: dict[str, ModelConfig]) -> None:
    try:
        check_runnable(Dag.of(ensemble))
    except ValueError as error:
        raise TwinError(str(error)) from error
    if reasons := what_no_twin_can_follow(ensemble, models):
        raise TwinError(f"a twin could not follow {ensemble.name}: {'; '.join(reasons)}")


def _with_header(config: ModelConfig, ensemble: str) -> str:
    scheduling = BATCHED if config.HasField("dynamic_batching") else UNBATCHED
    return HEADER.format(ensemble=ensemble, scheduling=scheduling) + as_text(config)


def _what_next(ensemble: ModelConfig, folder: Path) -> str:
    repository = folder.parent.resolve()
    where = "" if repository == DEFAULT_REPOSITORY else f" --model-repository {shlex.quote(str(repository))}"
    texts = {tensor.name for tensor in ensemble.input} == {"excerpt", "BERT_WEIGHT"}
    data = "" if texts else " --input-data requests.json"
    return (
        f"Wrote {folder / 'config.pbtxt'}\n"
        f"      {folder / '1' / 'model.py'}, which says where conditions go\n\n"
        "Next:\n"
        f"  readability serve{where}\n"
        f"  readability compare {ensemble.name} {folder.name}{data}{where}"
    )
