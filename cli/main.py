"""The command line, `readability`. Each command is a file of `cli`, imported when it is called."""

import importlib
import importlib.util
import signal
from collections.abc import Mapping

import click

COMMANDS: Mapping[str, str] = {
    "score": "Score files or standard input on a running server.",
    "bulk": "Score a corpus of any size into Parquet files.",
    "serve": "Serve the model repository until stopped.",
    "demo": "Start a server, score the sample passages both ways, stop.",
    "doctor": "Show what this machine has for serving, and what is missing.",
    "graph": "Draw an ensemble and check it.",
    "twin": "Write the BLS twin of an ensemble.",
    "build": "Build model.pt and checkpoint.tl into the repository.",
    "train": "Train a bundle on scored excerpts.",
    "train-multitask": "Train a bundle on several tasks at once, with teachers.",
    "refit": "Fit a bundle's forest anew, the encoder kept.",
    "evaluate": "Measure the error of encoder, forest and blend.",
    "compare": "Compare any two pipelines or models under the same load.",
    "capacity": "Find the highest rate at which a bound on latency holds.",
    "explain": "Show where the time of requests goes.",
    "watch": "Say at any time what a split or a shadow shows.",
    "placements": "Measure pipelines by placement and batch size.",
    "bench": "Measure what orchestration adds.",
    "faults": "Break a server in every known way and judge its answers.",
    "soak": "Send tens of thousands of requests; judge answers and growth.",
    "random-encoder": "Copy the repository with random weights of BERT-large's size.",
    "bench-memory": "Measure the memory of a server's processes.",
    "bench-bulk": "Measure what Ray Data costs bulk, and its memory.",
    "bench-encoder": "Compare the served encoder with plain transformers.",
}
EXTRAS: Mapping[str, str] = {
    "bulk": "bulk,server",
    "capacity": "compare",
    "compare": "compare",
    "explain": "compare",
    "watch": "compare",
}
"""What to install for commands that need other extras than `server`."""

IN_A_CHECKOUT = ("faults", "soak")
"""Commands of `faults/`, which is not installed."""


class _Commands(click.Group):
    """Commands by name, imported only when needed: `readability score` must not wait for PyTorch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        in_a_checkout = importlib.util.find_spec("readability_triton.faults") is not None
        return [name for name in COMMANDS if in_a_checkout or name not in IN_A_CHECKOUT]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.list_commands(ctx):
            raise click.ClickException(f"{cmd_name} is not installed: run it in a checkout of the project")
        name = cmd_name.replace("-", "_")
        try:
            return getattr(importlib.import_module(f"readability_triton.cli.{name}"), name)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get(cmd_name, "server")
            raise click.ClickException(
                f"{cmd_name} needs {error.name}: run `pip install 'readability-triton[{extra}]'`"
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="readability-triton")
def main() -> None:
    """Score how hard an English text is to read, with a pipeline of models on Triton Inference Server.

    Higher scores are easier. Two pipelines over the same models give the same score: ensemble_all, a declarative DAG,
    and bls_pipeline, Python code in the server.
    """
    # A shell starts the background jobs of a script with SIGINT ignored. These commands end on it and report.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    main()
