"""Other sites, other names and too large requests are kept out."""

import http.client
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from readability_triton.page import app, protection
from readability_triton.page.app import LARGEST_FILE, LARGEST_REQUEST, make_app
from readability_triton.page.server import listen, serving
from tests.page.asking import get, post, send

STATIC = Path(app.__file__).parent / "static"
FOREIGN = ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:1")
COMPUTING = ("api/score", "api/sentences", "api/text?name=a.txt")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "localhost@evil"])
@pytest.mark.parametrize("path", ["", "api/setup", "api/state"])
def test_another_name_is_refused(address, host, path):
    answer = get(address, path, Host=host)
    assert answer.status == 400
    assert b"A cat sat" not in answer.body


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "localhost:80"])
def test_names_of_this_machine_are_answered(address, name):
    assert get(address, "api/setup", Host=name).status == 200


def test_a_name_that_was_given_is_answered_and_no_other(pipelines):
    with (
        closing(listen("127.0.0.1", 0)) as listening,
        serving(make_app(pipelines, {}, {"gpu-box"}), listening) as address,
    ):
        assert get(address, "", Host="gpu-box:8080").status == 200
        assert get(address, "", Host="localhost").status == 400


@pytest.mark.parametrize("path", COMPUTING)
@pytest.mark.parametrize("origin", FOREIGN)
def test_another_site_has_nothing_computed(address, pipelines, path, origin):
    answer = post(address, path, {"text": "A cat sat."}, Origin=origin)
    assert (answer.status, "is not this page" in answer.error) == (403, True)
    assert not pipelines.asked


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_without_an_origin_nothing_is_computed(address, pipelines, method):
    assert send(address, "api/score", method, b'{"text": "A cat sat."}').status == 403
    assert not pipelines.asked


def test_another_site_may_not_read_answers(address):
    for answer in (get(address, "api/setup", Origin=FOREIGN[0]), post(address, "api/score", {"text": "A cat sat."})):
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {}, 200),
        ("page.js", {}, 200),
        ("api/setup", {}, 200),
        ("nowhere", {}, 404),
        ("api/score", {}, 404),
        ("", {"Host": "evil.example"}, 400),
    ],
)
def test_every_answer_has_the_protective_headers(address, path, headers, status):
    answer = get(address, path, **headers)
    assert answer.status == status
    assert protection.HEADERS.items() <= answer.headers.items()
    assert "server" not in answer.headers


def test_nothing_may_run_or_be_loaded_from_elsewhere():
    policy = dict(part.split(maxsplit=1) for part in protection.HEADERS["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "static/../../app.py", "//etc/passwd"])
def test_only_the_folder_of_static_files_is_served(address, path):
    assert get(address, path).status in (400, 404)


def test_a_body_in_chunks_is_bounded_while_it_comes(address):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    with closing(connection):
        connection.putrequest("POST", "/api/score")
        connection.putheader("Origin", address.rstrip("/"))
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        for _ in range(LARGEST_REQUEST // 0x10000 + 1):
            connection.send(chunk)
        assert connection.getresponse().status == 413  # without the end of the body


def test_a_length_that_is_too_large_is_refused_before_the_body(address):
    with closing(socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), timeout=60)) as raw:
        lines = ("POST /api/text HTTP/1.1", f"Host: {urlsplit(address).netloc}", f"Origin: {address.rstrip('/')}")
        raw.sendall("\r\n".join((*lines, f"Content-Length: {LARGEST_FILE + 1}", "", "")).encode())
        assert raw.recv(64).startswith(b"HTTP/1.1 413")


def test_no_text_is_logged(address, pipelines, capfd, caplog):
    secret = "Unmistakable sentence about a cat."
    post(address, "api/score", {"text": secret})
    post(address, "api/sentences", {"text": secret})
    post(address, "api/text?name=a.txt", secret.encode())
    post(address, "api/score", {"text": f"{secret} forbidden"})
    post(address, "api/score", {"text": secret, "other": secret})
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "nmistakable" not in logged


def test_the_files_need_nothing_from_elsewhere():
    for file in STATIC.iterdir():
        text = file.read_text()
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w./]*", text))
        assert found <= {"http://www.w3.org/2000/svg", "//www.w3.org/2000/svg"}, file.name


def test_the_document_has_no_script_or_style_of_its_own():
    document = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", document)
    for file in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|\.style\b|new Function", file.read_text()
        )


def test_every_file_that_is_named_is_there():
    for file in STATIC.glob("*.js"):
        for name in re.findall(r'from "\./(.+?)"', file.read_text()):
            assert (STATIC / name).is_file()
    for name in re.findall(r'(?:src|href)="([^#"]+)"', (STATIC / "index.html").read_text()):
        assert (STATIC / name).is_file()


def test_every_element_that_the_script_wants_is_in_the_document():
    document = (STATIC / "index.html").read_text()
    ids = re.findall(r'\sid="([^"]+)"', document)
    assert len(set(ids)) == len(ids)
    scripts = "".join(file.read_text() for file in STATIC.glob("*.js"))
    wanted = set(re.findall(r'byId\("([^"]+)"\)', scripts)) | set(re.findall(r'view\["([^"]+)"\]', scripts))
    wanted |= set(re.findall(r"view\.(\w+)", scripts))
    assert wanted <= set(ids)
    referred = re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', document)
    assert {each for value in referred for each in value.split()} <= set(ids)
