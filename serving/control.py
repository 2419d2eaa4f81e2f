"""Load a model of a running server again. Only who has the key may: Triton refuses model control to everyone else."""

import http
import http.client
import itertools
import json
import secrets
from contextlib import suppress
from urllib.parse import quote

KEY_NAME = "readability-key"
GRPC_KEY_NAME = f"triton-grpc-protocol-{KEY_NAME}"
CLOSED = "model-repository,trace,logging,shared-memory"
"""The APIs that change what the server does or reach into its memory, as Triton names them."""

LOAD_TIMEOUT_S = 300
ANSWER_TIMEOUT_S = 5


class ControlError(RuntimeError):
    """The server did not do what it was asked to; the message says why."""


class ModelControl:
    """Model control of one server.

    Args:
        host, port: where its HTTP endpoint listens.

    Attributes:
        key: what a request must show, made anew for each server.
        was_used: whether it was tried to load any model again.
    """

    def __init__(self, host: str, port: int) -> None:
        self.key = secrets.token_urlsafe(32)
        self.was_used = False
        self._host = host
        self._port = port
        self._loads = itertools.count(1)

    def arguments(self) -> list[str]:
        """The options that have Triton load every model at the start, and later for who has the key only."""
        return [
            "--model-control-mode=explicit",
            "--load-model=*",
            f"--http-restricted-api={CLOSED}:{KEY_NAME}={self.key}",
            f"--grpc-restricted-protocol={CLOSED}:{KEY_NAME}={self.key}",
        ]

    def is_live(self) -> bool:
        """Whether the server answers and is not about to end."""
        try:
            self._ask("GET", "/v2/health/live")
        except ControlError:
            return False
        return True

    def reload(self, model: str) -> None:
        """Load a model again, with the configuration that it is served with and its files as they are now.

        What is served until then goes on being served, the requests that it has are answered.

        Raises:
            ControlError: if the model does not load, or not within five minutes.
        """
        name = quote(model, safe="")
        config = json.loads(self._ask("GET", f"/v2/models/{name}/config"))
        # Triton does nothing about a configuration that it knows. The parameter makes it another one.
        config.setdefault("parameters", {})["reloaded"] = {"string_value": str(next(self._loads))}
        body = json.dumps({"parameters": {"config": json.dumps(config)}})
        self.was_used = True
        self._ask("POST", f"/v2/repository/models/{name}/load", body, LOAD_TIMEOUT_S)

    def end_tracing(self) -> None:
        """Trace no more requests, and have those that were traced written to their file.

        Raises:
            ControlError: if the server does not.
        """
        self._ask("POST", "/v2/trace/setting", json.dumps({"trace_level": ["OFF"]}))

    def _ask(self, method: str, path: str, body: str | None = None, timeout_s: float | None = None) -> bytes:
        timeout_s = timeout_s or ANSWER_TIMEOUT_S
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.request(method, path, body, {KEY_NAME: self.key})
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError as error:
            raise ControlError(f"no answer in {timeout_s:g} s") from error
        except (http.client.HTTPException, OSError) as error:
            raise ControlError(f"no answer: {error}") from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise ControlError(_reason(content) or f"HTTP status {answer.status}")
        return content


def _reason(content: bytes) -> str:
    """What Triton's answer says is wrong, on one line, without Python's traceback."""
    text = content.decode(errors="replace")
    with suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["error"]
    return " ".join(str(text).split("\n\nAt:")[0].split())
