"""Whether a server grows: a line through its readings after warm-up, by least squares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from readability_triton.faults.soak.resources import Reading

WARM_UP = 0.2
"""Share of the requests before which readings do not count: the allocator's pools fill, caches and threads are made."""

LEVEL = 0.95
FLAT = {"MB": 0.1, "number": 0.05}
"""By unit, growth per 1,000 requests that is called flat: 100 kB, which a million requests turn into 100 MB, and one
file in twenty thousand."""


@dataclass(frozen=True)
class Slope:
    """How one quantity went.

    Attributes:
        name: as in `Reading`.
        unit: MB or number.
        first, last: the first value after warm-up, and the last.
        per_thousand: growth per 1,000 requests.
        low, high: its 95 % interval.
    """

    name: str
    unit: str
    first: float
    last: float
    per_thousand: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether growth worth speaking of can be excluded, or none was seen."""
        return self.low <= 0 or self.per_thousand <= FLAT[self.unit]


def slopes(readings: Sequence[Reading], total: int) -> list[Slope]:
    """A slope for each quantity that all readings after warm-up have; fewer than three readings give none.

    The interval is Student's, which takes readings as independent. Memory's are not quite: it is somewhat too narrow.

    Args:
        readings: in order.
        total: requests of the whole run.
    """
    counted = [reading for reading in readings if reading.requests >= WARM_UP * total]
    if len(counted) < 3:
        return []
    names = [name for name in counted[0].values if all(name in reading.values for reading in counted)]
    return [_slope(name, counted) for name in names]


def _slope(name: str, readings: Sequence[Reading]) -> Slope:
    thousands = np.array([reading.requests for reading in readings]) / 1000
    values = np.array([reading.values[name] for reading in readings])
    unit = "MB" if name.endswith("memory") else "number"
    fit = stats.linregress(thousands, values)
    margin = stats.t.ppf((1 + LEVEL) / 2, len(values) - 2) * fit.stderr if np.ptp(values) else 0.0
    return Slope(
        name,
        unit,
        float(values[0]),
        float(values[-1]),
        float(fit.slope),
        float(fit.slope - margin),
        float(fit.slope + margin),
    )
