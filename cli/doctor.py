"""`readability doctor`."""

import platform
from pathlib import Path
from zipfile import BadZipFile

import click
from rich.console import Console
from rich.table import Column, Table

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.containers.check import check
from readability_triton.containers.finding import Finding as Misfit
from readability_triton.containers.release import Release, UnknownReleaseError, find_release
from readability_triton.ensemble.config import ConfigError, read_config
from readability_triton.serving.doctor import Finding, examine
from readability_triton.stages.precision import precision_of


def _read_release(_context: click.Context, _parameter: click.Parameter, name: str | None) -> Release | None:
    try:
        return find_release(name) if name else None
    except UnknownReleaseError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    epilog="""\b
Examples:
  readability doctor
  readability doctor --for 26.07 --with readability_triton --with tokenizers
  readability doctor --for 24.10 --model-repository /srv/models
\b
Exit codes: 0 nothing is missing, or nothing must be fixed; 1 something is, with what to do about it; 2 bad usage."""
)
@model_repository_option
@click.option(
    "--for",
    "release",
    metavar="RELEASE",
    callback=_read_release,
    help="Check instead whether the repository fits NVIDIA's Triton container of this release, such as 26.07.",
)
@click.option(
    "--with",
    "installed",
    metavar="PACKAGE",
    multiple=True,
    help="With --for: a package, as Python models import it, that your image adds to the container. Repeatable.",
)
def doctor(model_repository: Path, release: Release | None, installed: tuple[str, ...]) -> None:
    """Show which Triton, backends, GPU and models were found, and how to get what is missing.

    With --for, check a model repository, this project's or any other, for a release of nvcr.io/nvidia/tritonserver:
    what its models need and the container lacks, and which known faults of that release concern them.
    """
    if installed and release is None:
        raise click.UsageError("--with needs --for")
    if release is not None:
        with one_line(ConfigError, OSError, SyntaxError):
            found = check(model_repository.resolve(), release, installed)
        _show(release, found)
        raise SystemExit(1 if any(each.must_be_fixed for each in found) else 0)
    python = Finding("Python", platform.python_version())
    findings = [python, *examine(model_repository.resolve()), slot(model_repository)]
    table = Table.grid("", "", Column(overflow="fold"), padding=(0, 2))
    for finding in findings:
        table.add_row("✗" if finding.advice else "✓", finding.subject, finding.found)
        if finding.advice:
            table.add_row("", "", f"→ {finding.advice}")
    Console(highlight=False, soft_wrap=True).print(table)
    raise SystemExit(1 if any(finding.advice for finding in findings) else 0)


def _show(release: Release, found: list[Misfit]) -> None:
    for each in found:
        mark, subject = "✗" if each.must_be_fixed else "·", each.model or "server"
        click.echo(f"{mark} {subject}: {each.text} [{each.source}]")
    n_errors = sum(each.must_be_fixed for each in found)
    verdict = f"{n_errors} to fix" if n_errors else "nothing to fix"
    click.echo(
        f"Triton {release.server} ({release.name}): {verdict}, {len(found) - n_errors} to know; "
        "read in sources and release notes, not tried in the container"
    )


def slot(repository: Path) -> Finding:
    """Which encoder is in the slot `bert-large`, whatever the slot is called."""
    try:
        parameters = read_config(repository / "bert-large" / "config.pbtxt").parameters
    except ConfigError as error:
        return Finding("slot bert-large", "not readable", str(error))
    encoder = parameters["encoder"].string_value
    if not encoder:
        return Finding("slot bert-large", "empty", "run `readability build`")
    layers, sha256 = parameters["encoder_layers"].string_value, parameters["encoder_sha256"].string_value
    return Finding(
        "slot bert-large", f"holds {encoder}, layers {layers}{_precision(repository)}, sha256 {sha256[:12]}…"
    )


def _precision(repository: Path) -> str:
    try:
        return f", {precision_of(repository / 'bert-large' / '1' / 'model.pt')}"
    except (OSError, BadZipFile):  # not built: another finding reports it
        return ""
