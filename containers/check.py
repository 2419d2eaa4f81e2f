"""Does a model repository fit a release of NVIDIA's Triton container? Offline, from files and `releases.toml`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from readability_triton.containers import fil, python, pytorch
from readability_triton.containers.finding import WHOLE, Finding, error, note
from readability_triton.containers.release import Release, facts
from readability_triton.containers.repository import Model, read_models, traits


def check(repository: Path, release: Release, installed: Sequence[str] = ()) -> list[Finding]:
    """Everything found, what must be fixed first; whatever backends the models have.

    Args:
        repository: any model repository.
        release: the container.
        installed: packages, by the names under which they are imported, that the image has besides the container's.

    Raises:
        ConfigError: if a configuration cannot be read.
        OSError, SyntaxError: if a file cannot be read, or one of Python not be parsed.
    """
    models = read_models(repository)
    found = [
        *_models(models, release, frozenset(installed)),
        *python.shared_memory(models),
        *_fixes(models, release),
        *_changes(models, release),
    ]
    return sorted(found, key=lambda finding: not finding.must_be_fixed)


def _models(models: Sequence[Model], release: Release, installed: frozenset[str]) -> Iterator[Finding]:
    steps = frozenset(step.model_name for model in models for step in model.config.ensemble_scheduling.step)
    for model in models:
        if model.is_python:
            yield from python.check(model, release, installed)
        elif model.backend == "fil":
            yield from fil.check(model, steps, release)
        elif model.backend == "pytorch" or model.config.platform == pytorch.AOTI:
            yield from pytorch.check(model, release)


def _fixes(models: Sequence[Model], release: Release) -> Iterator[Finding]:
    """Mended faults that the release still has and that concern these models."""
    concerned = traits(list(models))
    for fix in facts()["fixes"]:
        if fix["concerns"] in concerned and not release.is_at_least(fix["first"]):
            text = f"{fix['what']}; mended in {fix['first']}"
            yield (error if fix["severe"] else note)(WHOLE, text, fix["source"])


def _changes(models: Sequence[Model], release: Release) -> Iterator[Finding]:
    concerned = traits(list(models))
    for change in facts()["changes"]:
        if change["concerns"] in concerned and release.is_at_least(change["from"]):
            yield note(WHOLE, change["what"], change["source"])
