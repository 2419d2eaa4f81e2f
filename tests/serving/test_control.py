import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from readability_triton.serving import control
from readability_triton.serving.control import KEY_NAME, ControlError, ModelControl
from readability_triton.serving.ports import free_ports

CONFIG = {"name": "cuml", "backend": "fil", "parameters": {"model_type": {"string_value": "treelite_checkpoint"}}}
FAILED = {
    "error": "load failed for model 'cuml': version 1 is at UNAVAILABLE state:\nNo file\n\nAt:\n  model.py(3): x\n"
}


class Triton(BaseHTTPRequestHandler):
    """Model control as Triton has it; what came and what to say are the server's `requests` and `answers`."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, json.loads(body or "null"), self.headers[KEY_NAME]))
        status, content = self.server.answers.get(self.path, (404, {"error": "not there"}))
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def triton():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Triton)
    server.requests = []
    server.answers = {
        "/v2/health/live": (200, b""),
        "/v2/models/cuml/config": (200, CONFIG),
        "/v2/repository/models/cuml/load": (200, b""),
        "/v2/trace/setting": (200, {}),
    }
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def to(triton):
    return ModelControl("127.0.0.1", triton.server_port)


def loads(triton):
    return [body for method, path, body, _ in triton.requests if path.endswith("/load")]


def test_triton_is_started_to_require_the_key_and_to_load_every_model():
    one = ModelControl("127.0.0.1", 8000)
    assert one.arguments() == [
        "--model-control-mode=explicit",
        "--load-model=*",
        f"--http-restricted-api=model-repository,trace,logging,shared-memory:readability-key={one.key}",
        f"--grpc-restricted-protocol=model-repository,trace,logging,shared-memory:readability-key={one.key}",
    ]


def test_every_server_has_a_key_of_its_own_that_needs_no_quoting():
    keys = {ModelControl("127.0.0.1", 8000).key for _ in range(50)}
    assert len(keys) == 50
    assert all(len(key) >= 40 and not set(key) & set("=,: ") for key in keys)


def test_a_reload_shows_the_key_and_sends_the_served_configuration_with_one_parameter_more(to, triton):
    to.reload("cuml")
    (body,) = loads(triton)
    sent = json.loads(body["parameters"]["config"])
    assert sent.pop("parameters") == CONFIG["parameters"] | {"reloaded": {"string_value": "1"}}
    assert sent == {name: value for name, value in CONFIG.items() if name != "parameters"}
    assert {key for *_, key in triton.requests} == {to.key}


def test_no_two_reloads_are_alike(to, triton):
    assert not to.was_used
    for _ in range(3):
        to.reload("cuml")
    assert len({body["parameters"]["config"] for body in loads(triton)}) == 3


def test_a_configuration_without_parameters_gets_one(to, triton):
    triton.answers["/v2/models/cuml/config"] = (200, {"name": "cuml"})
    to.reload("cuml")
    assert "reloaded" in json.loads(loads(triton)[0]["parameters"]["config"])["parameters"]


def test_a_model_that_does_not_load_is_an_error_with_the_reason_on_one_line(to, triton):
    triton.answers["/v2/repository/models/cuml/load"] = (400, FAILED)
    with pytest.raises(ControlError) as failed:
        to.reload("cuml")
    assert str(failed.value) == "load failed for model 'cuml': version 1 is at UNAVAILABLE state: No file"
    assert to.was_used


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"other": 1}', b'{"error": ""}'])
def test_an_answer_that_gives_no_reason_is_an_error_all_the_same(to, triton, content):
    triton.answers["/v2/repository/models/cuml/load"] = (503, content)
    with pytest.raises(ControlError, match=r".+"):
        to.reload("cuml")


def test_a_model_name_cannot_lead_elsewhere(to, triton):
    with pytest.raises(ControlError, match="not there"):
        to.reload("a/../../cuml")
    assert triton.requests[0][1] == "/v2/models/a%2F..%2F..%2Fcuml/config"


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(ControlError, match=r"no answer: .*refused"):
        ModelControl("127.0.0.1", free_ports(1)[0]).reload("cuml")


def test_a_server_that_is_silent_is_an_error_that_says_how_long_was_waited(monkeypatch):
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = ModelControl("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(ControlError, match=r"no answer in 0\.1 s"):
            to.reload("cuml")
        assert not to.is_live()


def test_live_is_a_server_that_says_so(to, triton):
    assert to.is_live()
    triton.answers["/v2/health/live"] = (400, {"error": "Server exiting"})
    assert not to.is_live()
    assert not ModelControl("127.0.0.1", free_ports(1)[0]).is_live()


def test_tracing_is_ended_by_switching_it_off(to, triton):
    to.end_tracing()
    assert triton.requests == [("POST", "/v2/trace/setting", {"trace_level": ["OFF"]}, to.key)]
