"""Every request is answered once, by its own scores or its own error, whatever comes beside it. In virtual time."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readability_triton.bls import orchestrator as module
from readability_triton.bls.answer import Answer
from readability_triton.bls.batch import Batch, Outcome, of_cuml
from readability_triton.bls.orchestrator import Orchestrator
from readability_triton.bls.policy import Choice, PolicyError, RequestError, find_policy
from readability_triton.bls.request import Request
from readability_triton.bls.row_queue import CHECK_EVERY_S
from readability_triton.bls.settings import Settings
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import Tally
from readability_triton.stages.errors import InvalidRowError
from tests.bls.models import POISON, REPOSITORY, Models, request, truth

CALLED = {"fold": "none", "slice_rows": "bert-large=3,*=4", "calls_in_flight": "bert-large=2,*=3", "chunk_rows": "4"}
STAGES = ("preprocess", "bert-large", "cuml")


@pytest.fixture
def models() -> Models:
    return Models()


@dataclass
class Client:
    """What came back to one request.

    Attributes:
        answers: with the time of each.
        leaves: when the client goes.
    """

    request: Request
    answers: list[tuple[float, Answer]] = field(default_factory=list)
    leaves: float = math.inf

    @property
    def answer(self) -> Answer:
        """The only one."""
        ((_, answer),) = self.answers
        return answer


@pytest.fixture
def serve(loop, models) -> Callable[..., list[Client]]:
    """Serve requests that arrive when they say, and give what each client got."""

    def serve(
        requests: Sequence[Request], leaving: Sequence[float] = (), parameters: dict[str, str] | None = None
    ) -> list[Client]:
        begin = loop.time()
        configured = CALLED | (parameters or {})
        pipeline = Orchestrator({}, Settings.read(configured, on_gpu=False), REPOSITORY, models, Tally())
        clients = []
        for number, one in enumerate(requests):
            client = Client(one, leaves=begin + (leaving[number] if number < len(leaving) else math.inf))
            client.request = replace(
                one, arrived=begin + one.arrived, is_cancelled=lambda client=client: loop.time() >= client.leaves
            )
            clients.append(client)

            def accept(client: Client = client) -> None:
                pipeline.accept(client.request, lambda answer: client.answers.append((loop.time(), answer)))

            loop.call_at(client.request.arrived, accept)
        serve.pipeline = pipeline
        loop.run(asyncio.sleep(max((one.arrived for one in requests), default=0) + 1e-6))
        loop.end_all()
        return clients

    return serve


@pytest.fixture
def use(monkeypatch) -> Callable[..., None]:
    """Put another policy in the place of all there are."""

    def use(run: Callable[..., Any]) -> None:
        monkeypatch.setattr(
            module, "choose", lambda parameters, defaults: Choice(replace(find_policy("parallel"), run=run))
        )

    return use


def assert_scored(client: Client) -> None:
    outcome = client.answer
    assert isinstance(outcome, Outcome), outcome
    assert outcome.scores.dtype == np.float32
    np.testing.assert_allclose(outcome.scores, truth(client.request), rtol=1e-6)
    assert len(outcome.bert) == len(outcome.cuml) == len(outcome.route) == len(outcome.reasons) == len(client.request)


GOOD = [request(b"A hen."), request(b"The sea is wide.", b"Rain", b"Zoo", weight=0.25), request("Café".encode())]
BAD = {
    "not UTF-8": (request(b"A hen.", b"caf\xe9"), "row 1: text is not UTF-8: unexpected end of data at byte 3"),
    "empty": (request(b""), "row 0: text is empty"),
    "white space": (request(b"Rain", b"Sun", b" \n"), "row 2: text holds only white space"),
    "NaN weight": (request(b"Rain", weight=math.nan), "row 0: blend weight nan is not in [0, 1]"),
    "weight 2": (request(b"Rain", weight=2.0), "row 0: blend weight 2.0 is not in [0, 1]"),
}
every_bad_request = pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD.keys())


def test_every_request_gets_its_own_blended_scores(serve) -> None:
    for client in serve(GOOD):
        assert_scored(client)


def test_requests_that_come_together_share_calls(serve, models) -> None:
    serve(GOOD)
    assert [len(call) for call in models.of("preprocess")] == [2, 3]
    assert [len(call) for call in models.of("bert-large")] == [2, 3]


@pytest.mark.parametrize(("weight", "score"), [(1.0, 6.0), (0.0, 65.0), (0.5, 35.5)])
def test_the_weight_is_the_share_of_bert(serve, weight: float, score: float) -> None:
    assert serve([request(b"A hen.", weight=weight)])[0].answer.scores.tolist() == [[score]]


@every_bad_request
def test_a_bad_request_gets_its_own_error_takes_no_call_and_harms_nobody(serve, models, bad, message: str) -> None:
    refused, *others = serve([bad, *GOOD])
    assert isinstance(refused.answer, InvalidRowError)
    assert str(refused.answer) == message
    for client in others:
        assert_scored(client)
    assert models.rows("preprocess") == 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"policy": "fastest"}, "no policy 'fastest'"),
        ({"policy": "deadline", "deadline_ms": "much"}, "deadline_ms is a number of at least 0"),
        ({"priority_level": 0}, r"priority_level is 1 \(first\) to 3, not 0"),
        ({"priority_level": "high"}, "priority_level is 1"),
        ({"tenant": 7}, "tenant is a string"),
        ({"timeout_ms": -1}, "timeout_ms is a positive number of milliseconds, not -1"),
        ({"timeout_ms": "soon"}, "timeout_ms is a positive number"),
    ],
)
def test_a_parameter_that_is_not_valid_is_named(serve, parameters: dict[str, Any], message: str) -> None:
    (client,) = serve([request(b"Rain", parameters=parameters)])
    assert isinstance(client.answer, RequestError)
    with pytest.raises(RequestError, match=message):
        raise client.answer


def test_shapes_that_differ_are_an_error(serve) -> None:
    one = request(b"Rain", b"Sun")
    (client,) = serve([replace(one, weights=one.weights[:1])])
    assert str(client.answer) == "excerpt has shape [2, 1] and BERT_WEIGHT [1, 1]; expected [B, 1] twice"


@pytest.mark.parametrize("stage", STAGES)
def test_when_a_stage_is_broken_every_request_gets_its_error(serve, models, stage: str) -> None:
    models.broken.add(stage)
    for client in serve(GOOD):
        assert str(client.answer) == f"{stage}: out of order"


@pytest.mark.parametrize("place", range(4))
def test_only_the_request_that_a_stage_cannot_take_fails(serve, place: int) -> None:
    clients = serve([*GOOD[:place], request(b"Rain", POISON), *GOOD[place:]])
    guilty = clients.pop(place)
    assert isinstance(guilty.answer, StageError)
    for client in clients:
        assert_scored(client)


@pytest.mark.parametrize(
    ("stage", "name", "spoil", "got"),
    [
        ("cuml", "output__0", lambda array: array[:, 0], "float32 [3]"),
        ("cuml", "output__0", lambda array: array[:1], "float32 [1, 1]"),
        ("cuml", "output__0", lambda array: np.repeat(array, 3, axis=1), "float32 [3, 3]"),
        ("bert-large", "OUTPUT__0", lambda array: array.astype(np.float64), "float64 [3, 1]"),
        ("preprocess", "TREE_FEATS", lambda array: array[:, :9], "float32 [3, 9]"),
        ("preprocess", "BERT_IDS", lambda array: array.astype(np.int32), "int32 [3, 2]"),
    ],
)
def test_an_answer_of_another_shape_or_type_is_an_error_that_names_it(serve, models, stage, name, spoil, got) -> None:
    models.spoil[stage] = lambda outputs: outputs | {name: spoil(outputs[name])}
    (client,) = serve([request(b"Rain", b"Sun", b"Snow")])
    assert isinstance(client.answer, StageError)
    assert str(client.answer).startswith(f"{stage}: output {name} is {got}; expected ")


def test_an_output_that_is_missing_is_an_error_that_names_it(serve, models) -> None:
    models.spoil["cuml"] = lambda outputs: {}
    (client,) = serve([request(b"Rain")])
    assert str(client.answer) == "cuml: output output__0 is missing from the answer, which has none"


def test_a_policy_that_raises_is_its_clients_trouble_alone(serve, use, capsys) -> None:
    async def policy(stages: Any, batch: Batch) -> Outcome:
        if batch.excerpts[0, 0] == b"Rain":
            raise ZeroDivisionError("oops")
        return of_cuml((await stages.preprocess(batch.excerpts)).features[:, 1:2])

    use(policy)
    failed, answered = serve([request(b"Rain"), request(b"Sun")])
    assert str(failed.answer) == "bls_pipeline: ZeroDivisionError: oops"
    assert answered.answer.scores.tolist() == [[83.0]]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_policy_that_gives_too_few_scores_is_an_error(serve, use) -> None:
    async def policy(stages: Any, batch: Batch) -> Outcome:
        return of_cuml(np.zeros((1, 1), np.float32))

    use(policy)
    (client,) = serve([request(b"Rain", b"Sun")])
    assert str(client.answer) == "policy parallel: returned scores [1, 1]; expected an Outcome with scores [2, 1]"


def test_a_long_request_comes_back_whole_and_is_cut_into_chunks(serve, models) -> None:
    long = request(*(bytes([65 + n % 26]) * (n + 1) for n in range(37)))
    (client,) = serve([long])
    assert_scored(client)
    assert max(map(len, models.of("preprocess"))) <= 4
    assert max(map(len, models.of("bert-large"))) <= 3


def test_a_short_request_overtakes_a_long_one(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.1
    long, short = serve([request(*[b"Long."] * 100), request(b"Short one.", arrived=1.0)])
    assert_scored(long)
    assert_scored(short)
    assert (
        short.answers[0][0] - short.request.arrived <= 0.1 * 2 * 3 + 0.1 + 1e-9
    )  # two calls of three rows, and its own
    assert long.answers[0][0] - long.request.arrived >= 5.0


def test_priority_goes_first(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.1
    requests = [
        request(bytes([65 + n]) * 3, arrived=0.001 * n, parameters={"priority_level": 1 + n % 3}) for n in range(18)
    ]
    clients = serve(requests)
    order = sorted(clients[6:], key=lambda client: client.answers[0][0])  # the first six are in the stage by then
    levels = [client.request.parameters["priority_level"] for client in order]
    assert levels == sorted(levels)


def test_a_request_whose_time_is_up_fails_then_and_its_rows_are_not_computed(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.1
    bulk, late = serve([request(*[b"Long."] * 30), request(*[b"Late."] * 30, parameters={"timeout_ms": 400})])
    assert_scored(bulk)
    assert isinstance(late.answer, StageLateError)
    assert late.answers[0][0] - late.request.arrived <= 0.4 + 1e-9
    assert sum((5, ord("L")) in call.texts and call.at > 0.4 for call in models.of("bert-large")) > 0
    assert models.rows("bert-large") < 60


def test_tritons_own_timeout_counts_too(serve, models) -> None:
    models.seconds_per_call["cuml"] = 5.0
    (client,) = serve([request(b"Rain", timeout_s=1.5)])
    assert client.answers[0][0] - client.request.arrived == pytest.approx(1.5)
    assert (
        str(client.answer) == "bls_pipeline: no answer within 1500 ms, the request's timeout; 1 of 1 rows were not done"
    )


def test_without_a_timeout_of_its_own_a_request_has_the_models(serve, models) -> None:
    models.seconds_per_call["cuml"] = 5.0
    (client,) = serve([request(b"Rain")], parameters={"max_wait_ms": "2000"})
    assert isinstance(client.answer, StageLateError)
    assert client.answers[0][0] - client.request.arrived == pytest.approx(2.0)


def test_rows_that_cannot_be_done_in_time_are_not_begun(serve, models) -> None:
    """Twice the load that can be served: what is computed is in time."""
    models.seconds_per_row["bert-large"] = 0.1
    parameters = {"timeout_ms": 1000}
    one_by_one = {"slice_rows": "*=1", "calls_in_flight": "bert-large=1,*=8"}
    clients = serve(
        [request(bytes([65 + n % 26]) * 2, arrived=0.05 * n, parameters=parameters) for n in range(200)],
        parameters=one_by_one,
    )
    answered = [client for client in clients if isinstance(client.answer, Outcome)]
    assert models.rows("bert-large") - len(answered) <= 3
    assert len(answered) >= 0.9 * 100


def test_the_rows_of_a_client_that_leaves_leave_the_queue(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.1
    gone, stays = serve([request(*[b"Gone."] * 100), request(*[b"Stay"] * 8)], leaving=[1.0])
    assert isinstance(gone.answer, CancelledRequestError)
    assert gone.answers[0][0] - gone.request.arrived <= 1.0 + 0.2 + CHECK_EVERY_S
    assert_scored(stays)
    late = [call for call in models.of("bert-large") if call.at > 1.0 + 0.3 and (5, ord("G")) in call.texts]
    assert not late


def test_a_request_for_which_there_is_no_room_fails_at_once_and_the_bound_is_exact(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.1
    texts, times = ([b"Rain"] * 5, [b"Snow"] * 5, [b"Sun"], [b"Wind"]), (0, 0.01, 0.02, 9.0)
    rows = [request(*some, arrived=at) for some, at in zip(texts, times, strict=True)]
    first, second, refused, later = serve(rows, parameters={"max_queued_rows": "10"})
    for client in (first, second, later):
        assert_scored(client)
    assert isinstance(refused.answer, StageBusyError)
    assert str(refused.answer) == "queue: busy: 10 rows wait, 10 may, 1 more came"
    assert refused.answers[0][0] == refused.request.arrived


def test_when_all_is_answered_nothing_is_left(serve, models) -> None:
    models.seconds_per_row["bert-large"] = 0.01
    serve([*GOOD, request(*[b"Gone."] * 50), request(*[b"Late"] * 50, timeout_s=0.1)], leaving=[math.inf] * 3 + [0.1])
    assert serve.pipeline.rows_waiting == 0
    assert set(serve.pipeline.gauges().values()) == {(0, 0)}


arrivals = st.builds(
    lambda gap, n_rows, level, tenant, timeout_ms, stay_s, poison, policy: (
        gap,
        n_rows,
        level,
        tenant,
        timeout_ms,
        stay_s,
        poison,
        policy,
    ),
    st.floats(0, 0.5),
    st.integers(1, 20),
    st.integers(1, 3),
    st.sampled_from(["", "a", "b"]),
    st.one_of(st.none(), st.floats(1, 3000)),
    st.one_of(st.just(math.inf), st.floats(0, 2)),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([{}, {"policy": "graph"}]),
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(arrivals, min_size=1, max_size=12), st.floats(0, 0.1), st.sampled_from(["1", "3", "7"]))
def test_every_request_is_answered_once_and_by_what_is_its_own(serve, models, some, per_row: float, size: str) -> None:
    models.calls.clear()
    models.most_in_flight.clear()
    models.seconds_per_row.update(dict.fromkeys(STAGES, per_row))
    requests, leaving, at = [], [], 0.0
    for number, (gap, n_rows, level, tenant, timeout_ms, stay_s, poison, policy) in enumerate(some):
        at += gap
        texts = [bytes([65 + number]) * (1 + row) for row in range(n_rows)]
        terms = {"priority_level": level, "tenant": tenant} | ({} if timeout_ms is None else {"timeout_ms": timeout_ms})
        requests.append(request(*texts, *[POISON] * poison, arrived=at, parameters=terms | policy))
        leaving.append(at + stay_s)
    clients = serve(requests, leaving, {"slice_rows": f"*={size}", "max_queued_rows": "100"})
    for client, (*_, timeout_ms, stay_s, poison, _policy) in zip(clients, some, strict=True):
        match client.answer:
            case Outcome():
                assert not poison
                assert_scored(client)
            case StageLateError():
                assert timeout_ms is not None
                assert client.answers[0][0] - client.request.arrived <= timeout_ms / 1000 + 1e-6
            case CancelledRequestError():
                assert stay_s < math.inf
            case StageBusyError():
                assert client.answers[0][0] == client.request.arrived
            case StageError():
                assert poison
            case other:
                raise AssertionError(other)
    assert all(len(call) <= int(size) for call in models.calls)
    assert models.most_in_flight["bert-large"] <= 2
    assert max(models.most_in_flight.values(), default=0) <= 3


def test_unknown_policies_are_refused_when_the_model_is_loaded(models) -> None:
    with pytest.raises(PolicyError, match="no policy 'fastest'"):
        Orchestrator({"policy": "fastest"}, Settings.read(CALLED, False), REPOSITORY, models, Tally())
