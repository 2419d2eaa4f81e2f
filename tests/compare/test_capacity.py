"""Capacity against queues whose capacity has a formula, in simulated time."""

import asyncio
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from readability_triton.compare import charts
from readability_triton.compare.arm import Arm
from readability_triton.compare.capacity.conclusions import cautions, conclusions, ratio
from readability_triton.compare.capacity.exceedance import Segment, rate_at
from readability_triton.compare.capacity.probe import LEAD, Mix, read_probe, schedule
from readability_triton.compare.capacity.probing import Outcome, Probing
from readability_triton.compare.capacity.report import as_html, as_json, as_table, curves
from readability_triton.compare.capacity.search import NEAR_PROBES, Exceeded, Search
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.client_process import ClientProcessError, ClosedJob, OpenJob
from readability_triton.compare.load import Block, Sample
from readability_triton.compare.messages import serialise_outputs
from readability_triton.compare.workload import Workload

SERVICE_S = 1 / 40
RUNS = 20
ENVIRONMENT = {"client_machine": "a <machine>", "gpu": [], "server": {"name": "triton", "version": "1"}}
WORKLOAD = Workload([{"X": np.zeros(1)}], [218], "a test")


def _load_queues():
    spec = spec_from_file_location("queues_with_formulas", Path(__file__).with_name("queues.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


queues = _load_queues()


@contextmanager
def no_progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda more: None


async def live() -> bool:
    return True


def probe(senders, slo: str, seconds: float, seed: int = 0, is_live=live) -> Outcome:
    """Probe arms, each at a sender of its own."""

    class Senders:
        async def check(self, target: int) -> None:
            await senders[target].check(target)

        async def run(self, job) -> Block:
            return await senders[job.target].run(job)

    arms = [Arm(f"arm {number}", f"model {number}") for number in range(len(senders))]
    return asyncio.run(Probing(arms, Senders(), Mix(50), Slo.parse(slo), seconds, is_live, no_progress, seed).run())


@pytest.mark.parametrize(
    ("service", "truth", "slo", "seconds"),
    [
        (queues.constant, queues.md1_capacity, "p95=150ms", 1500),
        (queues.constant, queues.md1_capacity, "p99=150ms", 4000),
        (queues.exponential, queues.mm1_capacity, "p95=150ms", 6000),
        (queues.exponential, queues.mm1_capacity, "p99=500ms", 10000),
    ],
)
def test_the_capacity_of_a_queue_is_found_within_five_percent_in_nineteen_of_twenty_runs(service, truth, slo, seconds):
    bound = Slo.parse(slo)
    true_rate = truth(SERVICE_S, bound.share, bound.seconds)
    found = [
        probe([queues.SimulatedQueue(service(SERVICE_S), seed)], slo, seconds, seed).arms[0].found.interval
        for seed in range(RUNS)
    ]
    assert sum(each is not None and abs(each.rate / true_rate - 1) < 0.05 for each in found) >= RUNS - 1
    # 95 of 100 on average: fewer than 16 of 20 would happen once in 400 times.
    assert sum(each.low <= true_rate <= each.high for each in found) >= 16


def test_erlangs_formula_agrees_with_a_long_simulation():
    rng = np.random.default_rng(0)
    arrivals = np.cumsum(rng.exponential(1 / 30, 400_000))
    latencies = queues.departures(arrivals, np.full(len(arrivals), SERVICE_S)) - arrivals
    for bound in (0.05, 0.1, 0.2):
        assert (latencies > bound).mean() == pytest.approx(queues.md1_exceedance(30, SERVICE_S, bound), rel=0.1)
    assert queues.md1_exceedance(30, SERVICE_S, 0.02) == 1


def test_two_arms_are_probed_in_turn_and_their_ratio_has_an_interval():
    one, other = (queues.SimulatedQueue(queues.constant(seconds), 1) for seconds in (1 / 40, 1 / 60))
    outcome = probe([one, other], "p95=150ms", 3000)
    true_ratio = queues.md1_capacity(1 / 60, 0.05, 0.15) / queues.md1_capacity(1 / 40, 0.05, 0.15)
    found = ratio(outcome)
    assert found.rate == pytest.approx(true_ratio, rel=0.05)
    assert found.low < true_ratio < found.high
    assert conclusions(outcome, 1e-5)[-1].startswith("arm 1 carries 1.")
    assert ratio(Outcome(outcome.slo, outcome.arms[:1])) is None


def test_probes_take_the_time_that_they_are_given():
    for seconds in (200, 1000):
        outcome = probe([queues.SimulatedQueue(queues.constant(SERVICE_S))] * 2, "p95=150ms", seconds)
        assert sum(each.seconds for arm in outcome.arms for each in arm.probes) == pytest.approx(seconds, rel=0.15)
        assert all(len(arm.probes) <= NEAR_PROBES + 8 for arm in outcome.arms)


def test_a_bound_below_the_service_time_holds_at_no_rate_and_costs_no_probe():
    queue = queues.SimulatedQueue(queues.constant(SERVICE_S))
    outcome = probe([queue], "p99=20ms", 100)
    assert outcome.arms[0].probes == []
    assert not any(isinstance(job, OpenJob) for job in queue.jobs)
    (sentence,) = conclusions(outcome, 1e-5)
    assert sentence == "arm 0 does not keep p99 within 20 ms at any rate: one request at a time, its median is 25.0 ms."


def test_too_little_time_is_said_to_be_too_little():
    outcome = probe([queues.SimulatedQueue(queues.exponential(SERVICE_S))], "p99=500ms", 20)
    assert not outcome.arms[0].found.is_known
    assert "cannot be told" in conclusions(outcome, 1e-5)[0] or "were not probed" in conclusions(outcome, 1e-5)[0]
    assert any("more time" in each for each in cautions(outcome))


class Failing(queues.SimulatedQueue):
    """Fails after so many jobs."""

    def __init__(self, error: BaseException, jobs: int) -> None:
        super().__init__(queues.constant(SERVICE_S))
        self.error, self.left = error, jobs

    async def run(self, job) -> Block:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return await super().run(job)


@pytest.mark.parametrize(
    ("error", "message"),
    [(asyncio.CancelledError(), "stopped by the user"), (ClientProcessError("the process ended"), "the process ended")],
)
@pytest.mark.parametrize("jobs", [0, 2, 6])
def test_what_ends_it_early_leaves_what_there_was(error, message, jobs):
    outcome = probe([Failing(error, jobs)], "p95=150ms", 500)
    assert outcome.incomplete == message
    assert len(outcome.arms[0].probes) == max(0, jobs - 3)
    assert cautions(outcome)[0] == f"Incomplete: {message}."
    assert as_html(outcome, [], 1e-5, ENVIRONMENT)
    assert json.loads(as_json(outcome, 1e-5, WORKLOAD, ENVIRONMENT))["incomplete"] == message


class Erring(queues.SimulatedQueue):
    """Every request is answered by an error."""

    async def run(self, job) -> Block:
        block = await super().run(job)
        return Block([sample._replace(error="Busy: no") for sample in block.samples], 0, block.seconds, 0.0)


def test_a_model_that_only_errs_has_no_capacity():
    outcome = probe([Erring(queues.constant(SERVICE_S))], "p95=150ms", 100)
    assert "no request was answered" in conclusions(outcome, 1e-5)[0]


def test_a_server_that_is_lost_ends_it():
    async def dead() -> bool:
        return False

    outcome = probe([Erring(queues.constant(SERVICE_S))], "p95=150ms", 100, is_live=dead)
    assert "not say that it is live" in outcome.incomplete


class Answering(queues.SimulatedQueue):
    def __init__(self, score: float) -> None:
        super().__init__(queues.constant(SERVICE_S))
        self.answer = serialise_outputs({"SCORE": np.array([[score]], np.float32)})

    async def run(self, job) -> Block:
        block = await super().run(job)
        return Block(block.samples, 0, block.seconds, 0.0, answers=[(0, self.answer)])


def test_answers_are_compared():
    same = probe([Answering(1.0), Answering(1.0)], "p95=150ms", 100)
    assert conclusions(same, 1e-5)[0].startswith("Both give the same answers to 1 requests")
    wrong = probe([Answering(1.0), Answering(1.5)], "p95=150ms", 100)
    assert conclusions(wrong, 1e-5)[0].startswith("WRONG")


# The model of exceedances.


@given(st.floats(5, 500), st.floats(3, 30), st.sampled_from([0.01, 0.05, 0.1]))
def test_exact_shares_give_the_exact_rate(rate, slope, share):
    rates = [rate * each for each in (0.9, 0.95, 1.0, 1.05)]
    counts = [round(10**7 * share * math.exp(slope * (each / rate - 1))) for each in rates]
    probes = [[Segment(each, 10**7, count)] * 5 for each, count in zip(rates, counts, strict=True)]
    found = rate_at(share, probes)
    assert found.rate == pytest.approx(rate, rel=0.01)
    assert found.low <= found.rate <= found.high


def test_a_share_that_does_not_rise_with_the_rate_gives_no_rate():
    assert rate_at(0.05, [[Segment(rate, 1000, 100 - rate)] for rate in (10, 20, 30, 40)]) is None


def test_a_slope_that_cannot_be_told_from_zero_gives_no_end():
    found = rate_at(0.05, [[Segment(rate, 100, count)] for rate, count in ((10, 4), (10, 6), (11, 5), (11, 6))])
    assert found is None or (found.low == 0 and found.high == math.inf)


def test_a_probe_that_met_a_busy_machine_widens_the_interval():
    calm = [[Segment(rate, 80, count)] * 5 for rate, count in ((16, 1), (17, 2), (18, 3), (19, 5), (20, 8))]
    disturbed = [*calm, [Segment(18.3, 80, 19)] * 5]
    assert rate_at(0.05, disturbed).precision > 3 * rate_at(0.05, calm).precision


def test_no_exceedance_at_one_rate_leaves_the_fit_finite():
    found = rate_at(0.05, [[Segment(10, 200, 0)] * 5, [Segment(12, 200, 40)] * 5])
    assert 10 < found.rate < 12


# The order of rates.


def exceeded(rate: float, share: float) -> Exceeded:
    return Exceeded([Segment(rate, 1000, round(1000 * share))] * 5)


def test_a_search_goes_up_or_down_until_the_rate_is_between_two_and_then_stays_near():
    slo, search, rates = Slo(95, 0.1), Search(Slo(95, 0.1), 10.0), []
    while (rate := search.next_rate()) is not None:
        rates.append(rate)
        search.add(exceeded(rate, min(1.0, slo.share * math.exp(10 * (rate / 17.0 - 1)))))
    assert rates[:4] == pytest.approx([10, 12.5, 15.625, 19.53], rel=1e-3)
    assert len(rates) == 4 + NEAR_PROBES
    assert all(14 < rate < 20 for rate in rates[4:])
    assert search.found().interval.rate == pytest.approx(17.0, rel=0.01)


def test_an_overload_at_a_rate_that_held_in_another_probe_does_not_count():
    search, rates = Search(Slo(95, 0.1), 10.0), []
    while (rate := search.next_rate()) is not None and len(rates) < 40:
        is_disturbed = len(rates) == 1
        rates.append(rate)
        search.add(exceeded(rate, 0.99 if is_disturbed else min(1.0, 0.05 * math.exp(10 * (rate / 17.0 - 1)))))
    assert rates[1] == rates[2]
    assert search.found().interval.rate == pytest.approx(17.0, rel=0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25))
def test_a_search_ends_and_never_asks_for_a_rate_that_is_none(shares):
    search = Search(Slo(99, 0.1), 10.0)
    for share in shares:
        rate = search.next_rate()
        if rate is None:
            break
        assert 0 < rate < math.inf
        search.add(exceeded(rate, share))
    found = search.found()
    if found.is_known:
        assert 0 < found.interval.low <= found.interval.rate <= found.interval.high


# Probes.


@given(st.integers(1, 300), st.floats(0.5, 1000), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_a_schedule_has_its_rate_and_counts_from_the_end_of_its_lead(n_counted, rate, n_requests, n_bulk, seed):
    mix = Mix(n_requests, n_bulk, 0.2 if n_bulk else 0.0)
    begin, due = schedule(rate, n_counted, mix, np.random.default_rng(seed))
    n_lead = max(1, round(LEAD * n_counted))
    times = [at for at, _ in due]
    assert times == sorted(times)
    assert sum(at >= begin for at in times) == n_counted
    assert len(times) == n_lead + n_counted
    assert times[-1] <= (n_lead + n_counted) / rate
    assert all(0 <= request < n_requests + n_bulk for _, request in due)


def test_the_share_of_bulk_requests_is_as_asked():
    draw = Mix(7, 3, 0.1).draw(np.random.default_rng(0))
    numbers = [next(draw) for _ in range(20_000)]
    assert np.mean([number >= 7 for number in numbers]) == pytest.approx(0.1, abs=0.01)
    assert set(numbers) == set(range(10))


def test_bulk_requests_and_the_lead_do_not_count_and_what_was_not_sent_does():
    samples = [
        Sample(0, 0.5, 0.5, 9.0),  # the lead
        Sample(2, 1.5, 1.5, 9.0),  # bulk
        Sample(0, 1.6, 1.6, 1.65),
        Sample(1, 1.7, 1.7, 1.9),
        Sample(1, 1.8, 1.81, 1.82, "Busy: no"),
    ]
    found = read_probe(Block(samples, 2, 10.0, 1.0), 10.0, 1.0, Mix(2, 1, 0.25), Slo(90, 0.1))
    assert sum(each.requests for each in found.exceeded.segments) == 5
    assert found.exceeded.share == pytest.approx(4 / 5)
    assert found.goodput == pytest.approx(10 * 0.75 / 5)
    assert found.errors == {"Busy: no": 1}
    assert found.latency[50] == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("text", "percentile", "seconds"), [("p99=150ms", 99, 0.15), ("p99.9=1.5s", 99.9, 1.5), (" p50=2s ", 50, 2.0)]
)
def test_a_bound_is_read(text, percentile, seconds):
    assert Slo.parse(text) == Slo(percentile, seconds)


@pytest.mark.parametrize("text", ["", "p99", "99=150ms", "p99=150", "p100=1s", "p0=1s", "p99=0ms", "p99=-1s"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(ValueError, match="write p99=150ms"):
        Slo.parse(text)


# Reports.


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return probe([Answering(1.0), Answering(1.0)], "p95=150ms", 3000)


def test_the_table_fits_eighty_columns(outcome):
    out = io.StringIO()
    Console(file=out, width=80).print(as_table(outcome, ["a machine"], 1e-5))
    assert "…" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80
    for part in ("arm 0", "arm 1", "p95 ms", "goodput/s", "The client took at most", "requests a second with p95"):
        assert part in out.getvalue()


def test_json_has_the_capacity_and_the_curve(outcome):
    record = json.loads(as_json(outcome, 1e-5, WORKLOAD, ENVIRONMENT), parse_constant=pytest.fail)
    for arm in record["arms"]:
        assert arm["capacity"]["low"] < arm["capacity"]["rate"] < arm["capacity"]["high"]
        rates = [each["rate"] for each in arm["curve"]]
        assert rates == sorted(rates)
        assert all(each["latency_ms"]["p50"] <= each["latency_ms"]["p95"] for each in arm["curve"])
    assert record["same_answers"] is True
    assert record["ratio"]["low"] < 1 < record["ratio"]["high"]


def test_the_report_is_one_file_with_both_pictures(outcome):
    html = as_html(outcome, ["a <machine>"], 1e-5, ENVIRONMENT)
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) == 2
    for svg in pictures:
        ET.fromstring(svg)
    assert "<machine>" not in html
    assert "<script" not in html
    for sentence in conclusions(outcome, 1e-5):
        assert sentence in html


def test_the_picture_is_a_small_file_of_its_own(outcome):
    picture = charts.as_file(charts.latency_against_rate(curves(outcome), 150.0))
    assert len(picture) < 60_000
    ET.fromstring(picture)


def test_a_busy_client_is_warned_of(outcome):
    async def busy(job):
        block = await queues.SimulatedQueue.run(queue, job)
        return Block(block.samples, 0, block.seconds, 100 * block.seconds)

    queue = queues.SimulatedQueue(queues.constant(SERVICE_S))
    queue.run = busy
    assert isinstance(queue, queues.SimulatedQueue)
    assert any("the client itself took" in each for each in cautions(probe([queue], "p95=150ms", 100)))
    assert not any("the client itself" in each for each in cautions(outcome))
    assert all(isinstance(job, ClosedJob | OpenJob) for job in queue.jobs)
