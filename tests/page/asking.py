"""Requests to the page, as a browser makes them."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What the page answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]["message"]


def send(address: str, path: str, method: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send exactly these headers, and those that `http.client` adds."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request(method, f"/{path}", body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def get(address: str, path: str, **headers: str) -> Answer:
    return send(address, path, "GET", headers=headers)


def post(address: str, path: str, body: Any, **headers: str) -> Answer:
    """From the page's own origin, unless `headers` has another."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(address, path, "POST", data, {"Origin": address.rstrip("/"), **headers})
