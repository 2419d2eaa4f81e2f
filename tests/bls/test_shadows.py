"""What runs after the answer is bounded, goes last, and is judged fairly. In virtual time, through the orchestrator."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from readability_triton.bls.batch import Outcome
from readability_triton.bls.orchestrator import Orchestrator
from readability_triton.bls.settings import Settings
from readability_triton.bls.shadows import LONGEST, Shadows
from readability_triton.bls.stages import StageError
from readability_triton.bls.tally import SHADOW_DIFFERENCE, SHADOW_RATIO, SHADOWS, Tally
from tests.bls.models import REPOSITORY, Models, request, truth

CONFIG = {"fold": "none", "slice_rows": "bert-large=2,*=4", "calls_in_flight": "*=2", "chunk_rows": "4"}
ENSEMBLE_S, STAGE_S = 1.0, 0.1


class Lines(list[dict[str, Any]]):
    """A log that keeps what is written."""

    def write(self, line: str) -> None:
        self.append(json.loads(line))


@pytest.fixture
def models() -> Models:
    models = Models()
    models.seconds_per_call |= {"ensemble_all": ENSEMBLE_S, "preprocess": STAGE_S, "bert-large": STAGE_S}
    return models


class Served:
    """A pipeline with everything that it did.

    Attributes:
        answers: with the time of each.
        lines: of the log.
    """

    def __init__(self, loop, models: Models, config: dict[str, str], draws: Sequence[float]) -> None:
        self.loop, self.tally, self.lines = loop, Tally(), Lines()
        self.answers: list[tuple[float, Any]] = []
        self.pipeline = Orchestrator({}, Settings.read(CONFIG | config, False), REPOSITORY, models, self.tally)
        numbers = iter(draws)
        runner = self.pipeline._shadows
        runner._log, runner._draw = self.lines, lambda: next(numbers, 0.0)
        self.runner: Shadows = runner

    def send(self, *texts: bytes, at: float = 0.0, **parameters: Any) -> None:
        settings = {"policy": "shadow", "share": 1.0, "candidate_timeout_ms": 3000.0} | parameters
        asked = request(*texts, parameters=settings, arrived=at)
        self.loop.call_at(at, self.pipeline.accept, asked, lambda got: self.answers.append((self.loop.time(), got)))

    def send_other(self, *texts: bytes, at: float, policy: str) -> None:
        asked = request(*texts, parameters={"policy": policy}, arrived=at)
        self.loop.call_at(at, self.pipeline.accept, asked, lambda got: self.answers.append((self.loop.time(), got)))

    def run(self, seconds: float = 200.0) -> dict[str, float]:
        self.loop.run(asyncio.sleep(seconds))
        counts = self.tally.drain()
        self.counts = counts
        return {labels[0]: amount for (kind, labels), amount in counts.items() if kind is SHADOWS}


@pytest.fixture
def serve(loop, models) -> Callable[..., Served]:
    return lambda config=None, draws=(): Served(loop, models, config or {}, draws)


def scores(answer: Any) -> Any:
    assert isinstance(answer, Outcome), answer
    return answer.scores


def test_the_candidate_runs_after_the_answer_and_agrees(serve, models) -> None:
    served = serve()
    served.send(b"A hen.", b"Rain")
    assert served.run() == {"same": 1}
    ((at, answer),) = served.answers
    assert at == pytest.approx(ENSEMBLE_S)
    np.testing.assert_allclose(scores(answer), truth(request(b"A hen.", b"Rain")))
    assert min(call.at for call in models.of("preprocess")) >= at
    (line,) = served.lines
    assert (line["verdict"], line["rows"], line["worst"], line["differing"]) == ("same", 2, 0.0, [])
    assert [line["answer_ms"], line["again_ms"]] == pytest.approx([1000, 1000])
    assert line["candidate_ms"] == pytest.approx(200)


@pytest.mark.parametrize(("draw", "first"), [(0.2, "preprocess"), (0.7, "ensemble_all")])
def test_which_of_the_two_runs_first_is_drawn(serve, models, draw: float, first: str) -> None:
    served = serve(draws=[0.0, draw])
    served.send(b"A hen.")
    served.run()
    assert models.calls[1].model == first
    assert served.lines[0]["candidate_first"] == (first == "preprocess")


@pytest.mark.parametrize(("share", "draws", "compared"), [(0.1, [0.0999, 0.9], 1), (0.1, [0.1], 0), (0.0, [0.0], 0)])
def test_a_share_of_the_requests_is_compared(serve, share: float, draws: list[float], compared: int) -> None:
    served = serve(draws=draws)
    served.send(b"A hen.", share=share)
    assert served.run().get("same", 0) == compared
    assert len(served.answers) == 1


def test_a_long_request_is_compared_chunk_by_chunk_all_of_it_or_nothing(serve) -> None:
    served = serve({"shadow_in_flight": "9"}, draws=[0.05, *[0.9] * 3])
    served.send(*[b"A hen."] * 10, share=0.1)
    assert served.run() == {"same": 3}
    assert sorted(line["rows"] for line in served.lines) == [2, 4, 4]


def test_a_candidate_that_differs_is_logged_by_row_without_its_text_unless_asked(serve, models) -> None:
    models.spoil["bert-large"] = lambda outputs: {name: array + (array == 4) for name, array in outputs.items()}
    served = serve()
    served.send(b"A hen.", b"Rain")
    served.send(b"Snow", at=50.0, log_texts="yes")
    served.send(b"A hen.", at=100.0)
    assert served.run() == {"differs": 2, "same": 1}
    quiet, loud = served.lines[0], served.lines[1]
    (row,) = quiet["differing"]
    assert (row["row"], row["answer"], row["candidate"]) == (1, 43.0, 43.5)
    assert quiet["worst"] == 0.5
    assert "text" not in row
    assert "Rain" not in json.dumps(quiet)
    assert loud["differing"][0]["text"] == "Snow"
    assert served.counts[SHADOW_DIFFERENCE.sum, ()] == 1.0
    assert served.counts[SHADOW_RATIO.count, ()] == 3


def test_a_candidate_without_a_score_where_the_answer_has_one_differs(serve, models) -> None:
    models.spoil["bert-large"] = lambda outputs: {name: array * np.float32(math.nan) for name, array in outputs.items()}
    served = serve()
    served.send(b"A hen.")
    assert served.run() == {"differs": 1}
    assert served.lines[0]["worst"] is None
    assert served.lines[0]["differing"][0]["candidate"] is None


def test_a_candidate_that_fails_says_why_and_the_client_has_its_answer(serve, models) -> None:
    models.broken.add("bert-large")
    served = serve()
    served.send(b"A hen.")
    assert served.run() == {"failed": 1}
    assert served.lines[0]["error"] == "bert-large: out of order"
    assert served.answers[0][0] == pytest.approx(ENSEMBLE_S)


@pytest.mark.parametrize("error", [RuntimeError("odd"), StageError("x", "odd")])
def test_a_candidate_with_a_mistake_in_it_fails_and_nothing_else(serve, monkeypatch, error: Exception) -> None:
    async def broken(stages, batch):
        raise error

    served = serve()
    monkeypatch.setattr("readability_triton.bls.policies.parallel.parallel", broken)
    monkeypatch.setattr(
        "readability_triton.bls.policies.shadow._by_policy", lambda choice, stages, batch: broken(stages, batch)
    )
    served.send(b"A hen.")
    assert served.run() == {"failed": 1}
    assert "odd" in served.lines[0]["error"]


def test_a_candidate_that_hangs_is_given_up_and_no_answer_is_later_for_it(serve, models) -> None:
    models.seconds_per_call["bert-large"] = 1e4
    served = serve()
    for number in range(20):
        served.send(b"A hen.", at=5.0 * number, times="candidate")
    counts = served.run(150.0)
    assert [at for at, _ in served.answers] == pytest.approx([5.0 * number + ENSEMBLE_S for number in range(20)])
    assert counts == {"late": 20}
    assert len(models.of("bert-large")) == 1  # a call that hangs is not joined by others


def test_beyond_the_bound_requests_are_answered_and_not_compared(serve, models) -> None:
    models.seconds_per_call["bert-large"] = 1e4
    served = serve({"shadow_in_flight": "2"})
    for _ in range(6):
        served.send(b"A hen.", times="candidate")
    assert served.run(150.0) == {"late": 2, "dropped": 4}
    assert len(served.answers) == 6


def test_rows_in_shadow_wait_while_a_request_has_no_answer(serve, models) -> None:
    models.seconds_per_call["postprocess"] = 2.0
    served = serve()
    served.send(b"A hen.", times="candidate")
    served.send_other(b"The sea.", at=0.5, policy="graph")
    assert served.run() == {"same": 1}
    answered = {at for at, _ in served.answers}
    assert max(answered) == pytest.approx(0.5 + 2 * STAGE_S + 2.0)
    (shadowed,) = [call for call in models.of("preprocess") if call.texts == ((6, 65),)]
    assert shadowed.at == pytest.approx(max(answered))


def test_with_room_beside_answering_requests_shadows_go_on(serve, models) -> None:
    models.seconds_per_call["ensemble_all"] = 5.0
    served = serve({"shadow_beside": "1"})
    served.send(b"A hen.", times="candidate")
    served.send(b"The sea.", at=4.0, times="candidate", share=0.0)
    assert served.run(8.0) == {"same": 1}


def test_a_candidate_that_is_kept_out_is_not_called_late(serve, models) -> None:
    served = serve()
    served.send(b"A hen.", times="candidate", candidate_timeout_ms=1000.0)
    models.seconds_per_call["ensemble_all"] = 1.0
    for number in range(60):
        served.send(b"The sea.", at=0.5 * number + 0.5, share=0.0)
    assert served.run(40.0) == {"kept-out": 1}
    assert served.lines[0]["candidate_ms"] == pytest.approx(1000 * LONGEST, rel=0.1)


def test_rows_in_shadow_share_no_call_with_answering_rows(serve, models) -> None:
    served = serve({"shadow_beside": "5"})
    served.send(b"A hen.", answer="parallel", times="candidate")
    served.send(b"The sea.", at=2 * STAGE_S, answer="parallel", share=0.0)
    served.run()
    assert all(len(call) == 1 for call in models.of("bert-large"))


def test_when_the_model_is_unloaded_shadows_are_given_up(serve, models) -> None:
    models.seconds_per_call["bert-large"] = 1e4
    served = serve()
    served.send(b"A hen.")
    served.loop.run(asyncio.sleep(2.0))
    assert served.runner.running == 1
    served.pipeline.close()
    served.loop.run(asyncio.sleep(0.01))
    assert served.runner.running == 0
    assert served.loop.complaints == []


def test_a_request_that_is_refused_is_an_invalid_argument(serve) -> None:
    served = serve()
    served.send(b"A hen.", candidate="shadow")
    served.run()
    assert type(served.answers[0][1]).__name__ == "RequestError"


def test_every_policy_is_judged_against_itself_as_the_same(serve, models) -> None:
    served = serve()
    for number, policy in enumerate(["parallel", "deadline", "fallback", "graph", "ensemble_all"]):
        served.send(b"A hen.", b"Zoo", at=20.0 * number, candidate=policy, answer=policy)
    assert served.run() == {"same": 5}
