"""A server that answers over HTTP as Triton does: a text's score is its bytes, times its blend weight."""

import gzip
import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from tritonclient.utils import deserialize_bytes_tensor

CONFIG = {
    "max_batch_size": 4,
    "parameters": {"bert_weight": {"string_value": "0.5"}, "target_quantiles": {"string_value": "0 50 100"}},
}
UNPACK: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class HttpWire(ThreadingHTTPServer):
    """Serves on a port of its own, of 127.0.0.1.

    Attributes:
        requests: headers and JSON of each inference request, in order.
        page: status and body that every request gets instead, if there is one.
        drop: how many requests to drop without an answer, after they were read.
        delay_s: before every answer.
        connections: number of connections that came.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.page: tuple[int, bytes] | None = None
        self.drop = 0
        self.delay_s = 0.0
        self.connections = 0
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        host = "localhost" if context else "127.0.0.1"
        self.url = f"{'https' if context else 'http'}://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.context:
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except OSError:
                request.close()
                return
        super().process_request_thread(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpWire

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.split("/")[3] if self.path.startswith("/v2/models/") else ""
        self._answer(b"" if self.path == "/v2/health/ready" else json.dumps({"name": name, **CONFIG}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.drop:
            self.server.drop -= 1
            self.close_connection = True
            return
        body = UNPACK[self.headers.get("Content-Encoding")](body)
        at = int(self.headers["Inference-Header-Content-Length"])
        asked = json.loads(body[:at])
        self.server.requests.append((dict(self.headers), asked))
        tensors = {}
        for tensor in asked["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            tensors[tensor["name"]] = body[at : at + size]
            at += size
        texts = deserialize_bytes_tensor(tensors["excerpt"]).tolist()
        time.sleep(self.server.delay_s)
        for row, text in enumerate(texts):
            if b"forbidden" in text:
                self._answer(json.dumps({"error": f"row {row}: text is forbidden"}).encode(), 400)
                return
        weights = np.frombuffer(tensors["BERT_WEIGHT"], np.float32)
        scores = (weights * np.array([len(text) for text in texts], np.float32)).tobytes()
        size = {"parameters": {"binary_data_size": len(scores)}}
        output = {"name": "SCORE", "datatype": "FP32", "shape": [len(texts), 1], **size}
        header = json.dumps({"outputs": [output]}).encode()
        self._answer(header + scores, json_length=len(header))

    def _answer(self, body: bytes, status: int = 200, json_length: int | None = None) -> None:
        if self.server.page:
            status, body = self.server.page
            json_length = None
        coding = self.headers.get("Accept-Encoding")
        self.send_response(status)
        if json_length is not None:
            self.send_header("Inference-Header-Content-Length", str(json_length))
        if coding == "gzip":
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
