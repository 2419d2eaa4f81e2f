"""What `explain` says of a server whose delays are known, and of both pipelines."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.client.access import Access
from readability_triton.client.errors import InferenceError, ModelUnavailableError
from readability_triton.explain.many_requests import Load, explain_many
from readability_triton.explain.one_request import OWN_SPANS, STATISTICS, TRACES, Explainer
from readability_triton.explain.profile import slower
from readability_triton.serving.control import GRPC_KEY_NAME
from readability_triton.serving.server import Options, running
from tests.server.explain.conftest import STEPS

TEXT = {"excerpt": np.array([[b"The hen sat on her eggs."]], object), "BERT_WEIGHT": np.array([[0.5]], np.float32)}


def profile(explainer, inputs, count=30, **options):
    return explain_many(explainer, Load("sums", [inputs], count, warm_up=3, **options))


def test_one_request_is_answered_and_its_steps_are_as_long_as_they_sleep(explainer, inputs, set_delay):
    set_delay("left", 40)
    explained = explainer.ask("sums", inputs)
    assert explained.outputs["Y"].tolist() == [[4.0]]
    waterfall = explained.waterfall
    spans = {span.name: span for span in waterfall.spans if span.kind == "call"}
    assert waterfall.source == TRACES
    assert waterfall.notes == ()  # one machine, one clock
    assert set(spans) == set(STEPS)
    assert spans["left"].duration_ms >= 40
    assert spans["right"].duration_ms >= 3
    assert 0 < waterfall.spans[1].start_ms < waterfall.spans[1].end_ms < waterfall.total_ms
    shares = waterfall.shares()
    assert next(iter(shares)) == "left"
    assert "right" not in shares
    (wait,) = waterfall.waits
    assert waterfall.spans[wait.waited_for].name == "left"


@pytest.mark.parametrize("step", STEPS)
def test_a_delay_in_a_step_is_blamed_on_it(explainer, inputs, set_delay, step):
    before = profile(explainer, inputs)
    set_delay(step, 33)
    after = profile(explainer, inputs)
    longer = slower(before.means(), after.means())
    assert next(iter(longer)) == step
    assert longer[step] >= 25
    assert next(iter(after.means())) == step


def test_several_requests_in_flight_wait_in_the_queue_of_the_slow_step(explainer, inputs, set_delay):
    set_delay("first", 20)
    found = profile(explainer, inputs, count=60, concurrency=4)
    first = next(each for each in found.models if each.name == "first")
    queue, _, compute, _ = first.p50.parts
    assert found.explained == found.answered == 60
    assert queue > compute >= 20
    assert first.on_path == 1
    assert first.path_share > 0.5


def test_without_the_key_the_same_is_blamed_by_statistics_and_the_output_says_so(adding, inputs, set_delay):
    with Explainer(adding.grpc_url) as explainer:
        before = profile(explainer, inputs)
        set_delay("right", 33)
        after = profile(explainer, inputs)
        one = explainer.ask("sums", inputs).waterfall
    assert (before.source, one.source) == (STATISTICS, STATISTICS)
    assert any("restricted" in note for note in after.notes)
    assert next(iter(slower(before.means(), after.means()))) == "right"
    assert next(iter(one.shares())) == "right"


def test_what_triton_traced_before_is_set_again(adding, key, inputs):
    with Explainer(adding.grpc_url, Access(headers=key)) as explainer:
        before = explainer.server.trace_settings("sums")
        explainer.ask("sums", inputs)
        assert explainer.server.trace_settings("sums")["trace_rate"] == ["1"]
        explainer.end_tracing()
        assert explainer.server.trace_settings("sums") == before


def test_failed_requests_are_counted_and_if_all_fail_their_error_is_raised(explainer, inputs):
    bad = {"X": np.array([[np.nan]], np.float32)}
    found = explain_many(explainer, Load("sums", [inputs, bad], 20, warm_up=0))
    assert found.answered == found.explained == 10
    ((message, count),) = found.errors.items()
    assert "not a number" in message
    assert count == 10
    with pytest.raises(InferenceError, match="not a number"):
        explain_many(explainer, Load("sums", [bad], 20, warm_up=0))
    with pytest.raises(ModelUnavailableError, match="nosuch"):
        explainer.ask("nosuch", inputs)


def test_the_command_writes_json_on_a_clean_standard_output_a_picture_and_blame(adding, key, set_delay, tmp_path):
    data = tmp_path / "requests.json"
    data.write_text(json.dumps({"data": [{"X": [1.0]}]}))
    ((name, value),) = key.items()
    command = ["explain", "sums", "--url", adding.grpc_url, "--header", f"{name}: {value}", "--input-data", str(data)]
    run = CliRunner(mix_stderr=False) if "mix_stderr" in CliRunner.__init__.__code__.co_varnames else CliRunner()
    svg, before = tmp_path / "new" / "sums.svg", tmp_path / "before.json"
    result = run.invoke(main, [*command, "--requests", "20", "--svg", str(svg), "--json", "-"])
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)
    assert found["source"] == TRACES
    assert {each["model"] for each in found["models"]} == {"client", "sums", *STEPS}
    assert svg.read_text().startswith("<svg")
    before.write_text(result.stdout)
    set_delay("last", 30)
    result = run.invoke(main, [*command, "--requests", "20", "--against", str(before)])
    assert result.exit_code == 0, result.stderr
    blamed = result.stdout.partition("Longer than in")[2]
    assert [name for name in STEPS if name in blamed.split()] == ["last"]
    one = run.invoke(main, [*command, "--requests", "1", "--warm-up", "1"])
    assert one.exit_code == 0
    assert "Critical path: last" in one.stdout


def test_both_pipelines_are_explained_and_bls_survives_that_every_request_is_traced(tmp_path):
    with running(Options(trace_file=Path(tmp_path / "traces.json"), trace_rate=1)) as server:
        access = Access(headers={GRPC_KEY_NAME: server.control.key})
        with Explainer(server.grpc_url, access) as explainer:
            for _ in range(5):
                ensemble, bls = (explainer.ask(name, TEXT) for name in ("ensemble_all", "bls_pipeline"))
        assert not server.has_ended
    assert (ensemble.waterfall.source, bls.waterfall.source) == (TRACES, OWN_SPANS)
    np.testing.assert_allclose(bls.outputs["SCORE"], ensemble.outputs["SCORE"], atol=1e-5)
    assert "SPANS" not in bls.outputs
    for waterfall in (ensemble.waterfall, bls.waterfall):
        calls = {span.name for span in waterfall.spans if span.kind == "call"}
        assert {"preprocess", "bert-large", "cuml"} <= calls
        assert waterfall.notes == ()
        assert all(0 <= span.start_ms <= span.end_ms for span in waterfall.spans)
        assert next(iter(waterfall.shares())) == "bert-large"
