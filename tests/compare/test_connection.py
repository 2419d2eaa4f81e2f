"""TLS, headers and a token, against a gRPC server that asks for them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.compare.arm import parse_arm
from readability_triton.compare.callers import Callers, make_target
from readability_triton.compare.connection import open_client
from readability_triton.compare.messages import read_outputs, serialise_outputs
from readability_triton.compare.workload import of_texts

ANSWER = service_pb2.ModelInferResponse.FromString(serialise_outputs({"SCORE": np.ones((1, 1), np.float32)}))


class Guarded(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers requests that have the token and the header."""

    def _check(self, context) -> None:
        sent = dict(context.invocation_metadata())
        if sent.get("authorization") != "Bearer secret" or sent.get("x-team") != "reading":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")

    def ModelInfer(self, request, context):  # noqa: N802 - gRPC's name
        self._check(context)
        return ANSWER

    def ServerLive(self, request, context):  # noqa: N802 - gRPC's name
        self._check(context)
        return service_pb2.ServerLiveResponse(live=True)


@pytest.fixture
def guarded(tmp_path):
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    certificate = authority.issue_cert("localhost")
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Guarded(), server)
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield f"grpcs://localhost:{port}", tmp_path / "ca.pem"
    server.stop(None).wait()


def ask(url: str, access: Access) -> float:
    """By the bare channel and by tritonclient."""

    async def scenario() -> float:
        target = make_target(parse_arm("m"), of_texts(["a text"], 1, 0.5, None, "a test"), Path("nowhere"))
        async with Callers([target], url, access) as (send,), open_client(url, access) as client:
            assert await client.is_server_live()
            return float(read_outputs(await send(0))["SCORE"][0, 0])

    return asyncio.run(scenario())


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_requests_carry_the_token_and_headers_by_tls(guarded, compression):
    url, ca = guarded
    assert ask(url, Access(ca=ca, token="secret", headers={"X-Team": "reading"}, compression=compression)) == 1.0


def test_without_the_token_a_request_is_refused(guarded):
    url, ca = guarded
    with pytest.raises(InferenceServerException, match="no token") as failure:
        ask(url, Access(ca=ca))
    assert failure.value.status() == "StatusCode.UNAUTHENTICATED"


def test_a_server_of_another_authority_is_not_trusted(guarded):
    url, _ = guarded
    with pytest.raises(InferenceServerException):
        ask(url, Access(token="secret", headers={"X-Team": "reading"}))


def test_addresses_and_certificates_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not a gRPC address"):
        open_client("https://localhost:1", Access())
    with pytest.raises(ValueError, match="certificates are for grpcs"):
        open_client("grpc://localhost:1", Access(ca=tmp_path))
    with pytest.raises(OSError, match="cannot be read"):
        open_client("grpcs://localhost:1", Access(ca=tmp_path / "none.pem"))
