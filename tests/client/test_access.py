"""TLS, client certificates, headers and tokens, against servers that insist on them."""

import asyncio
import ssl

import grpc
import pytest
import trustme

from readability_triton.client.access import Access
from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import ServerUnreachableError
from readability_triton.client.scorer import Scorer
from tests.client.http_wire import HttpWire
from tests.conftest import WireServer


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """PEM files: `ca`, `other` (authorities), `certificate`, `key`, `both` (the client's)."""
    folder = tmp_path_factory.mktemp("pem")
    names = {name: folder / f"{name}.pem" for name in ("ca", "other", "certificate", "key", "both")}
    client = authority.issue_cert("client@triton.test")
    authority.cert_pem.write_to_path(names["ca"])
    trustme.CA().cert_pem.write_to_path(names["other"])
    client.cert_chain_pems[0].write_to_path(names["certificate"])
    client.private_key_pem.write_to_path(names["key"])
    client.private_key_and_cert_chain_pem.write_to_path(names["both"])
    return names


@pytest.fixture(params=["grpcs", "https"])
def serve(request, authority, files):
    """Start a server with TLS, which may insist on a certificate of the client's; its address."""
    stops = []

    def start(wants_certificate=False):
        certificate = authority.issue_cert("localhost")
        if request.param == "https":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            if wants_certificate:
                authority.configure_trust(context)
                context.verify_mode = ssl.CERT_REQUIRED
            server = HttpWire(context)
            stops.append(server.stop)
            return server.url
        credentials = grpc.ssl_server_credentials(
            [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())],
            authority.cert_pem.bytes() if wants_certificate else None,
            wants_certificate,
        )
        server = WireServer(credentials)
        stops.append(lambda: server.server.stop(None).wait())
        return server.url

    yield start
    for stop in stops:
        stop()


@pytest.fixture(params=["synchronous", "asynchronous"])
def score(request):
    def run(url, access, **options):
        if request.param == "synchronous":
            with Scorer(url=url, access=access, **options) as scorer:
                return scorer.score(["abcd"]).values.tolist()

        async def ask():
            async with AsyncScorer(url=url, access=access, **options) as scorer:
                return (await scorer.score(["abcd"])).values.tolist()

        return asyncio.run(ask())

    return run


def test_an_authority_of_ones_own_is_trusted(serve, files, score):
    assert score(serve(), Access(ca=files["ca"])) == [2.0]


@pytest.mark.parametrize("authority_file", [None, "other"])
def test_a_server_with_another_authority_is_not(serve, files, score, authority_file):
    access = Access(ca=files[authority_file] if authority_file else None)
    with pytest.raises(ServerUnreachableError, match=r"(?i)certificate|handshake|ssl|tls"):
        score(serve(), access, timeout_s=10)


@pytest.mark.parametrize("names", [("certificate", "key"), ("both", None)])
def test_a_server_that_wants_a_certificate_gets_it(serve, files, score, names):
    certificate, key = (files[name] if name else None for name in names)
    assert score(serve(wants_certificate=True), Access(files["ca"], certificate, key)) == [2.0]


def test_without_it_there_is_no_connection(serve, files, score):
    with pytest.raises(ServerUnreachableError):
        score(serve(wants_certificate=True), Access(files["ca"]), timeout_s=10)


@pytest.mark.parametrize("make", [Scorer, AsyncScorer])
@pytest.mark.parametrize("scheme", ["grpcs", "https"])
@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_that_is_no_certificate_is_named(tmp_path, make, scheme, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(OSError, match=r"ca\.pem cannot be read"):
        make(url=f"{scheme}://localhost:1", access=Access(ca=path))


@pytest.mark.parametrize("make", [Scorer, AsyncScorer])
def test_certificates_need_tls(files, make):
    with pytest.raises(ValueError, match="certificates are for grpcs:// and https://"):
        make(url="http://localhost:1", access=Access(ca=files["ca"]))


def test_headers_and_token_arrive_over_grpc(wire, score):
    seen = []
    wire.on_metadata = lambda metadata: seen.append(dict(metadata))
    assert score(wire.url, Access(headers={"X-Team": "reading"}, token="secret")) == [2.0]
    assert all((each["x-team"], each["authorization"]) == ("reading", "Bearer secret") for each in seen)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"key": "k.pem"},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a\n": "b"}},
        {"headers": {"": "b"}},
        {"headers": {"a": "ö"}},
        {"token": "…"},
        {"headers": {"Authorization": "Basic x"}, "token": "y"},
        {"headers": {"a": "b", "A": "c"}},
        {"compression": "zip"},
    ],
)
def test_what_contradicts_itself_is_refused(options):
    with pytest.raises(ValueError, match=r"key needs|line break|ASCII|twice|neither gzip"):
        Access(**options)


def test_a_token_is_not_shown():
    assert "secret" not in repr(Access(token="secret"))


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_requests_may_be_compressed_over_grpc(wire, score, compression):
    assert score(wire.url, Access(compression=compression)) == [2.0]
