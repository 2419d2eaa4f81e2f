"""Progress and messages for people: all on standard error, so that standard output stays clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


EVERY_S = 10.0
"""Between two lines of progress, without a terminal."""


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, how many a second and how long still, by the callback that it yields.

    A bar; without a terminal, a line at the start and one every ten seconds.
    """
    start = shown = monotonic()
    done = 0

    def line() -> str:
        rate = done / max(monotonic() - start, 1e-6)
        left = (total - done) / rate if rate else 0.0
        return f"{title}: {done:,} of {total:,}, {rate:.1f} a second, {left / 60:.1f} minutes left"

    def advance(n: int) -> None:
        nonlocal done, shown
        done += n
        bar.update(task, advance=n, rate=done / max(monotonic() - start, 1e-6))
        if not console.is_terminal and monotonic() - shown >= EVERY_S:
            shown = monotonic()
            console.print(line())

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    rate_column = TextColumn("{task.fields[rate]:.1f}/s")
    if not console.is_terminal:
        console.print(f"{title} …")
    with Progress(
        TextColumn("{task.description}"), *columns, rate_column, console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=total, rate=0.0)
        yield advance
