"""`readability watch`."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.cli.display import console
from readability_triton.cli.failures import INTERRUPTED
from readability_triton.cli.options import AskedAccess, access_options
from readability_triton.client.access import Access
from readability_triton.watch import server_metrics
from readability_triton.watch.conclusions import MEASURES, PAIR, WRONG, Conclusion, Finding, Limits, conclude
from readability_triton.watch.records import Log, LogError, number

EXIT_CODES = {"no worse": 0, "worse": 1, "undecided": 10}
USAGE, UNREACHABLE = 2, 3


def _measures(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if unknown := [name for name in names if name not in MEASURES]:
        raise click.BadParameter(f"{', '.join(unknown)!r} is none of {', '.join(MEASURES)}")
    return names


@click.command(
    epilog="""\b
Examples:
  readability watch split.jsonl                             # what may be concluded now
  readability watch shadow.jsonl --follow                   # look every 10 s, until it is decided
  readability watch shadow.jsonl --follow --at-most 3600    # a gate in a pipeline: an hour at most
  readability watch split.jsonl --measures p99,wrong --margin 0.05 --json
  readability watch --url http://localhost:8002/metrics     # from the server's counters of policy shadow
  readability watch --url https://metrics.test --ca ca.pem --header 'X-Team: reading'

\b
Exit codes: 0 no worse than the margins allow; 1 worse; 2 usage, or LOG is none; 3 nothing answers at --url;
10 undecided; 130 stopped with Ctrl-C."""
)
@click.argument("log", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--url", help="A server's metrics, in place of LOG, such as http://localhost:8002/metrics.")
@click.option("--follow", is_flag=True, help="Look again and again until it is decided.")
@click.option("--every", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds between two looks.")
@click.option("--at-most", type=click.FloatRange(0), default=math.inf, help="Seconds to follow.  [default: no limit]")
@click.option("--measures", default=",".join(MEASURES), show_default=True, callback=_measures, help="What must hold.")
@click.option(
    "--margin",
    type=click.FloatRange(0, min_open=True),
    default=0.1,
    show_default=True,
    help="Slower by this share is no worse.",
)
@click.option(
    "--wrong-margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="So large a share more of wrong answers is no worse.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="Probability of a false alarm, however often one looks.",
)
@click.option("--first-of-key", is_flag=True, help="Of a split, count only the first request of each key.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each look.")
@access_options
def watch(
    log: Path | None,
    url: str | None,
    follow: bool,
    every: float,
    at_most: float,
    measures: tuple[str, ...],
    margin: float,
    wrong_margin: float,
    alpha: float,
    first_of_key: bool,
    as_json: bool,
    **access: Any,
) -> None:
    """Say what may be concluded from a split or a shadow, at any time and as often as one likes.

    LOG is what `Scorer(split=…)` or policy shadow writes. Intervals hold at all times at once, so that to stop when the
    result is clear is no error.
    """
    if (log is None) == (url is None):
        raise click.UsageError("name LOG or --url, one of them")
    limits = Limits(margin, wrong_margin, alpha, measures)
    try:
        given = AskedAccess(**access).access_to(url)
        look = _of_log(Log(log, first_of_key), limits) if log else _of_server(str(url), given, limits)
        conclusion = _look_until_decided(look, follow, every, at_most, as_json)
    except (LogError, ValueError) as error:
        _end(error, USAGE)
    except OSError as error:
        _end(error, USAGE if log else UNREACHABLE)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(EXIT_CODES[conclusion.verdict if conclusion else "undecided"])


def _end(error: Exception, code: int) -> NoReturn:
    click.echo(f"readability: {error}", err=True)
    raise SystemExit(code) from error


Look = Callable[[], Conclusion | None]


def _of_log(log: Log, limits: Limits) -> Look:
    latest: Conclusion | None = None

    def look() -> Conclusion | None:
        nonlocal latest
        if log.read():
            data = log.data()
            latest = None if data is None else conclude(data, limits, latest)
        return latest

    return look


def _of_server(url: str, access: Access, limits: Limits) -> Look:
    headers, tls = access.sent_headers(), access.ssl_context()
    return lambda: server_metrics.conclude(server_metrics.scrape(url, headers, tls), limits)


def _look_until_decided(look: Look, follow: bool, every: float, at_most: float, as_json: bool) -> Conclusion | None:
    end = time.monotonic() + at_most
    shown: Conclusion | None = None
    while True:
        conclusion = look()
        if conclusion != shown or not shown:
            _show(conclusion, as_json)
            shown = conclusion
        is_decided = conclusion is not None and conclusion.verdict != "undecided"
        left = end - time.monotonic()
        if not follow or is_decided or left <= 0:
            return conclusion
        time.sleep(min(every, left))


def _show(conclusion: Conclusion | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"verdict": "undecided", "findings": []} if conclusion is None else as_dict(conclusion)))
    elif conclusion is None:
        console.print("There is nothing to compare yet.")
    else:
        Console(highlight=False).print(_table(conclusion), _sentence(conclusion))


def as_dict(conclusion: Conclusion) -> dict[str, Any]:
    """For JSON; what is not known, or infinite, is null."""
    return {
        "verdict": conclusion.verdict,
        "arms": list(conclusion.names),
        "n": list(conclusion.n),
        "findings": [
            {
                "measure": one.measure,
                "first": number(one.first),
                "second": number(one.second),
                "estimate": number(one.estimate),
                "low": number(one.interval.low),
                "high": number(one.interval.high),
                "difference_ms": [number(end) for end in one.difference],
                "e": number(math.exp(min(one.log_e, 700.0))),
                "verdict": one.verdict,
            }
            for one in conclusion.findings
        ],
    }


def _table(conclusion: Conclusion) -> Table:
    first, second = conclusion.names
    table = Table("", first, second, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("ratio, at all times", "evidence", ""):
        table.add_column(title, no_wrap=True)
    for one in conclusion.findings:
        table.add_row(
            one.measure, _value(one, one.first), _value(one, one.second), _interval(one), _evidence(one), one.verdict
        )
    return table


def _value(finding: Finding, value: float) -> str:
    if math.isnan(value) or finding.measure == PAIR:
        return "-"
    return f"{value:.2%}" if finding.measure == WRONG else f"{value:.1f} ms"


def _interval(finding: Finding) -> str:
    estimate, (low, high) = finding.estimate, finding.interval
    if finding.measure == WRONG:
        return f"{_signed(estimate)}, {_signed(low)} to {_signed(high)}"
    return f"{_ratio(estimate)}, {_ratio(low)} to {_ratio(high)}"


def _signed(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:+.2%}"


def _ratio(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "∞" if math.isinf(value) else f"{value:.3f}"


def _evidence(finding: Finding) -> str:
    return f"{math.exp(min(finding.log_e, 16)):.3g}" if finding.log_e < 16 else "> 1e6"


def _sentence(conclusion: Conclusion) -> str:
    n, m = conclusion.n
    said = {
        "no worse": "no worse than the margins allow",
        "worse": "worse",
        "undecided": "undecided: more requests are needed",
    }
    return f"{conclusion.names[1]}, after {n:,} and {m:,} requests: {said[conclusion.verdict]}."
