"""Write the BLS twin of an ensemble into a model repository: a configuration, and a Python model for conditions."""

import shutil
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.config import as_text, read_ensemble
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.run import check_runnable
from readability_triton.ensemble.twin import twin_config, what_no_twin_can_follow

MODEL = Path(__file__).parent / "templates" / "twin_model.py"
HEADER = """\
# The BLS twin of {ensemble}, written by `readability twin`: its steps are those of ../{ensemble}/config.pbtxt.
# {scheduling}
"""
BATCHED = "Requests run side by side in one instance, and steps are called for the rows of several."
UNBATCHED = "Not every step takes batches, so this model is not batched; requests run side by side in one instance."


class TwinError(Exception):
    """There can be no twin; the message says why."""


def write_twin(repository: Path, ensemble: str, folder: Path) -> ModelConfig:
    """Write the twin of the repository's model `ensemble` to `folder`, whose name is the twin's.

    Returns:
        The ensemble's configuration.

    Raises:
        ConfigError: if the ensemble cannot be read.
        TwinError: if a twin could not do what the ensemble does, or the folder exists.
        OSError: if the folder cannot be written.
    """
    found, models = read_ensemble(repository, ensemble)
    _check(found, models)
    if folder.exists():
        raise TwinError(f"{folder} is there already; remove it or choose another --name")
    config = twin_config(found, models, folder.name)
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(_with_header(config, ensemble), encoding="utf-8")
    shutil.copyfile(MODEL, folder / "1" / "model.py")
    return found


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
