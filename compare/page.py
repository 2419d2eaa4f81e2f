"""A comparison as one HTML file that opens offline."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from readability_triton.compare import charts
from readability_triton.compare.conclusions import cautions, conclusions
from readability_triton.compare.environment import to_json
from readability_triton.compare.experiment import Measured, Outcome
from readability_triton.compare.figures import N_RESAMPLES
from readability_triton.compare.summary import LoadSummary, Summary
from readability_triton.compare.tables import STAGE_COLUMNS, STAGES_NOTE, client_share, rows, stage_rows

PAGES = Environment(
    loader=PackageLoader(__package__ or "readability_triton.compare"), autoescape=True, undefined=StrictUndefined
)


def as_html(outcome: Outcome, summary: Summary, about: Sequence[str], environment: Mapping[str, Any]) -> str:
    """The report; `about` are lines on where it was measured and with what."""
    measured = {str(each.load): each for each in outcome.measured}
    return PAGES.get_template("compare.html.j2").render(
        title=f"{summary.labels[0]} against {summary.labels[1]}",
        about=about,
        same=summary.agreement.same,
        conclusions=conclusions(summary),
        cautions=cautions(summary),
        labels=summary.labels,
        loads=[_load(summary.labels, load, measured[load.load]) for load in summary.loads],
        throughput=charts.throughput(summary),
        environment=to_json(environment),
        resamples=N_RESAMPLES,
    )


def _load(labels: tuple[str, str], load: LoadSummary, measured: Measured) -> dict[str, Any]:
    requests = " and ".join(f"{arm.requests:,}" for arm in load.arms)
    lags = " and ".join(f"{arm.lag_ms[1]:.1f}" for arm in load.arms)
    about = f"{requests} requests in {load.blocks} blocks each; {client_share(load)}"
    return {
        "name": load.load,
        "about": about + (f", and sent 99 % of requests at most {lags} ms late." if load.rate is not None else "."),
        "rows": list(rows(load)),
        "stages": list(stage_rows(load)),
        "stage_columns": STAGE_COLUMNS,
        "stages_note": STAGES_NOTE,
        "charts": [
            ("Latencies", charts.distribution(labels, measured)),
            ("Block after block", charts.over_time(labels, measured)),
            ("Where the time goes inside the server", charts.breakdown(labels, load)),
        ],
    }
