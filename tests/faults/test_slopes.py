"""Growth is distinguished from noise."""

import numpy as np
import pytest

from readability_triton.faults.soak.resources import Reading
from readability_triton.faults.soak.slopes import FLAT, WARM_UP, slopes

TOTAL = 50_000


def readings(memory: list[float], files: list[float] | None = None) -> list[Reading]:
    at = np.linspace(0, TOTAL, len(memory)).astype(int)
    files = files or [7.0] * len(memory)
    return [
        Reading(int(requests), {"m memory": mb, "m files": count})
        for requests, mb, count in zip(at, memory, files, strict=True)
    ]


def test_a_line_has_its_slope_and_no_doubt() -> None:
    grows, stays = slopes(readings([100 + 0.5 * at for at in range(101)]), TOTAL)
    assert grows.per_thousand == pytest.approx(1.0)
    assert grows.low == pytest.approx(1.0)
    assert grows.last == 150
    assert not grows.is_flat
    assert (stays.per_thousand, stays.low, stays.high, stays.is_flat) == (0.0, 0.0, 0.0, True)


def test_noise_about_a_level_is_flat() -> None:
    noise = np.random.default_rng(0).normal(300, 20, 400)
    assert slopes(readings(noise.tolist()), TOTAL)[0].is_flat


def test_slow_growth_in_noise_is_found() -> None:
    noise = np.random.default_rng(0).normal(300, 2, 400) + np.linspace(0, 50, 400)
    slope = slopes(readings(noise.tolist()), TOTAL)[0]
    assert slope.low < 1.0 < slope.high
    assert not slope.is_flat


def test_growth_below_the_bound_is_flat() -> None:
    tiny = [100 + FLAT["MB"] / 2 * at for at in range(51)]
    assert slopes(readings(tiny), TOTAL)[0].is_flat


def test_what_happens_while_warming_up_does_not_count() -> None:
    memory = [10.0 * at for at in range(20)] + [200.0] * 81
    (slope, _) = slopes(readings(memory), TOTAL)
    assert WARM_UP == 0.2
    assert slope.is_flat
    assert slope.first == 200


def test_files_that_pile_up_are_found() -> None:
    assert not slopes(readings([1.0] * 100, [float(at // 5) for at in range(100)]), TOTAL)[1].is_flat


def test_a_process_that_came_later_and_too_few_readings_have_no_slope() -> None:
    some = readings([1.0] * 10)
    some[-1].values["late memory"] = 5.0
    assert [slope.name for slope in slopes(some, TOTAL)] == ["m memory", "m files"]
    assert slopes(some[:2], TOTAL) == []
