"""Five bands of difficulty: fifths of the training excerpts, by how hard people found them."""

from typing import NamedTuple


class Band(NamedTuple):
    """A band.

    Attributes:
        name: what the page calls it.
        least: least percentile in it.
    """

    name: str
    least: float


BANDS = (
    Band("very hard", 0.0),
    Band("hard", 20.0),
    Band("medium", 40.0),
    Band("easy", 60.0),
    Band("very easy", 80.0),
)
"""From the hardest on."""


def band_of(percentile: float | None) -> int | None:
    """Index in `BANDS` of a percentile in [0, 100]; None where there is none."""
    if percentile is None:
        return None
    return max(at for at, band in enumerate(BANDS) if percentile >= band.least)
