"""What each policy does where bert-large fails or hangs, or its own configuration is wrong: on servers of their own."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.bls.policy import policy_names
from readability_triton.cli.samples import sample_passages
from readability_triton.ensemble.config import as_text, read_config
from readability_triton.serving.errors import ModelLoadError
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline

TOLERANCE = 1e-5
MANY = 12
"""Requests, more than `readability_triton.bls.calls.MOST_AT_ONCE`."""

TEXTS = list(sample_passages().values())
WEIGHTS = np.linspace(0, 1, len(TEXTS), dtype=np.float32)
LOG_LIMIT_S = 5.0
MOODY = Path(__file__).parent / "moody.py"

Ask = Callable[..., dict[str, np.ndarray]]


def configure(repository: Path, model: str, **parameters: str) -> None:
    file = repository / model / "config.pbtxt"
    config = read_config(file)
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    file.write_text(as_text(config))


def replace(model: Path, old: str, new: str) -> None:
    file = model / "config.pbtxt"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


class Moody:
    """A server whose bert-large can be made to fail or hang, and whose default policy is `fallback`.

    The ensemble has an encoder of its own, `spare`, which is the real one.
    """

    def __init__(self, server: TritonServer, folder: Path) -> None:
        self.server, self._folder = server, folder

    @contextmanager
    def encoder(self, mood: str) -> Iterator[None]:
        (self._folder / mood).touch()
        try:
            yield
        finally:
            (self._folder / mood).unlink()

    def degraded_lines(self) -> list[dict[str, Any]]:
        """The log's lines on degraded answers: JSON, quoted as all that Triton logs."""
        quoted = [re.search(r'model\.py:\d+\] (".*")$', line) for line in self.server.read_log()]
        return [json.loads(json.loads(match[1])) for match in quoted if match and "degraded" in match[1]]

    def wait_for_degraded_line(self, **fields: Any) -> dict[str, Any]:
        """The last such line with these fields, which may get into the log a little after the answer is sent."""
        deadline = time.monotonic() + LOG_LIMIT_S
        while time.monotonic() < deadline:
            lines = [line for line in self.degraded_lines() if fields.items() <= line.items()]
            if lines:
                return lines[-1]
            time.sleep(0.05)
        raise AssertionError(f"no line in the log with {fields}: {self.degraded_lines()}")


@pytest.fixture(scope="module")
def moody(modules_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moody]:
    encoder, spare = (modules_repository / name for name in ("bert-large", "spare"))
    shutil.copytree(encoder, spare)
    replace(spare, "bert-large", "spare")
    replace(modules_repository / "ensemble_all", 'model_name: "bert-large"', 'model_name: "spare"')
    replace(encoder, '"pytorch"', '"python"')
    replace(encoder, 'default_model_filename: "model.pt"', "")
    replace(encoder, "KIND_AUTO", "KIND_CPU")
    shutil.copy(MOODY, encoder / "1" / "model.py")
    configure(modules_repository, "bls_pipeline", policy="fallback", deadline_ms="300")
    log = tmp_path_factory.mktemp("moody") / "triton.log"
    with running(Options(modules_repository, log_file=log)) as server:
        yield Moody(server, encoder / "1")


@pytest.fixture(params=["grpc", "http"])
def moody_url(request: pytest.FixtureRequest, moody: Moody) -> str:
    return moody.server.grpc_url if request.param == "grpc" else moody.server.http_url


@pytest.fixture(scope="module")
def cuml(truth: InProcessPipeline) -> np.ndarray:
    return truth.cuml(TEXTS)[:, 0]


def assert_forests(answer: dict[str, np.ndarray], cuml: np.ndarray) -> None:
    """The forest's scores, and said to be no more than that where the encoder was wanted."""
    np.testing.assert_allclose(answer["SCORE"], cuml, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(answer["DEGRADED"], WEIGHTS > 0)
    assert np.isnan(answer["BERT_SCORE"]).all()
    assert set(answer["ROUTE"]) == {b"cuml"}


def test_the_configured_policy_degrades_and_says_so_in_answer_and_log(ask_bls: Ask, moody, moody_url, cuml) -> None:
    name = f'what "{moody_url}" asked'
    with moody.encoder("fails"):
        assert_forests(ask_bls(moody_url, TEXTS, WEIGHTS, request_id=name), cuml)
    assert moody.wait_for_degraded_line(request_id=name) == {
        "event": "degraded",
        "policy": "fallback",
        "request_id": name,
        "rows": len(TEXTS),
        "reasons": {"bert-large failed": len(TEXTS) - 1},
    }


def test_when_the_trouble_is_over_answers_are_what_was_asked_for_and_the_log_is_silent(ask_bls: Ask, moody) -> None:
    before = len(moody.degraded_lines())
    answer = ask_bls(moody.server.grpc_url, TEXTS, WEIGHTS)
    assert not answer["DEGRADED"].any()
    assert set(answer["ROUTE"]) == {b"bert-large+cuml"}
    assert len(moody.degraded_lines()) == before


@pytest.mark.parametrize("parameters", [{"policy": "parallel"}, {"policy": "guard"}], ids=str)
def test_a_request_that_needs_an_encoder_that_fails_names_it_and_why(
    ask_bls: Ask, moody, moody_url, parameters: dict[str, Any]
) -> None:
    with moody.encoder("fails"), pytest.raises(InferenceServerException) as caught:
        ask_bls(moody_url, TEXTS, **parameters)
    assert re.search(r"bert-large: .*in a bad mood", str(caught.value))
    assert caught.value.status() in ("500", "StatusCode.INTERNAL")


@pytest.mark.parametrize(
    "parameters", [{"policy": "fallback", "on_failure": "ensemble_all"}, {"policy": "graph"}], ids=str
)
def test_an_ensemble_with_an_encoder_of_its_own_answers_in_full(
    ask_bls: Ask, moody, moody_url, truth: InProcessPipeline, parameters: dict[str, Any]
) -> None:
    with moody.encoder("fails"):
        answer = ask_bls(moody_url, TEXTS, WEIGHTS, **parameters)
    np.testing.assert_allclose(answer["SCORE"], truth.score(TEXTS, WEIGHTS[:, None])[:, 0], rtol=0, atol=TOLERANCE)
    assert set(answer["ROUTE"]) == {b"ensemble_all"}
    assert not answer["DEGRADED"].any()


def test_a_deadline_is_met_by_an_encoder_that_fails(ask_bls: Ask, moody, moody_url, cuml) -> None:
    with moody.encoder("fails"):
        assert_forests(ask_bls(moody_url, TEXTS, WEIGHTS, policy="deadline", deadline_ms=60_000), cuml)


def test_a_deadline_is_met_by_an_encoder_that_hangs(ask_bls: Ask, moody, moody_url, cuml) -> None:
    with moody.encoder("hangs"):
        assert_forests(ask_bls(moody_url, TEXTS, WEIGHTS, policy="deadline"), cuml)
    assert moody.wait_for_degraded_line(policy="deadline", reasons={"bert-large late": len(TEXTS) - 1})


def test_an_encoder_that_hangs_holds_up_no_other_request(ask_bls: Ask, moody, cuml) -> None:
    url = moody.server.grpc_url
    with moody.encoder("hangs"):
        for _ in range(MANY):
            answer = ask_bls(url, TEXTS[-1:], policy="deadline", deadline_ms=60)
            assert answer["ROUTE"].tolist() == [b"cuml"]
        assert_forests(ask_bls(url, TEXTS, WEIGHTS, policy="deadline", deadline_ms=0), cuml)
    asked_again = ask_bls(url, TEXTS, WEIGHTS, policy="deadline", deadline_ms=60_000)
    assert not asked_again["DEGRADED"].any()
    assert set(asked_again["ROUTE"]) == {b"bert-large+cuml"}


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"policy": "fastest"}, f"no policy 'fastest'; there are {', '.join(policy_names())}"),
        ({"policy": "deadline", "deadline_ms": "much"}, "parameter deadline_ms is a number of at least 0, not 'much'"),
    ],
    ids=["policy", "setting"],
)
def test_a_default_that_is_wrong_is_an_error_when_the_model_is_loaded(
    own_repository: Path, tmp_path: Path, parameters: dict[str, str], reason: str
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(own_repository / "bls_pipeline", repository / "bls_pipeline")
    configure(repository, "bls_pipeline", **parameters)
    with pytest.raises(ModelLoadError, match=f"bls_pipeline: .*{re.escape(reason)}"), running(Options(repository)):
        pass
