"""`readability doctor`."""

import platform
from pathlib import Path
from zipfile import BadZipFile

import click
from rich.console import Console
from rich.table import Column, Table

from readability_triton.cli.options import model_repository_option
from readability_triton.ensemble.config import ConfigError, read_config
from readability_triton.serving.doctor import Finding, examine
from readability_triton.stages.precision import precision_of


@click.command(
    epilog="""\b
Exit codes: 0 nothing is missing; 1 something is, with what to do about it; 2 bad usage."""
)
@model_repository_option
def doctor(model_repository: Path) -> None:
    """Show which Triton, backends, GPU and models were found, and how to get what is missing."""
    python = Finding("Python", platform.python_version())
    findings = [python, *examine(model_repository.resolve()), slot(model_repository)]
    table = Table.grid("", "", Column(overflow="fold"), padding=(0, 2))
    for finding in findings:
        table.add_row("✗" if finding.advice else "✓", finding.subject, finding.found)
        if finding.advice:
            table.add_row("", "", f"→ {finding.advice}")
    Console(highlight=False, soft_wrap=True).print(table)
    raise SystemExit(1 if any(finding.advice for finding in findings) else 0)


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
