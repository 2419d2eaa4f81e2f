"""What people try first with a client, against the real server: every way in gives the score computed in process."""

import asyncio
import csv
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trustme

from readability_triton.cli.samples import sample_passages
from readability_triton.client import Access, AsyncScorer, InvalidRequestError, Scorer
from readability_triton.serving.server import TritonServer
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = [text[:300] for text in sample_passages().values()]
NAN = float("nan")


@pytest.fixture(scope="module")
def expected(truth: InProcessPipeline) -> list[float]:
    return truth.score(TEXTS, np.full((len(TEXTS), 1), 0.5, np.float32))[:, 0].tolist()


@pytest.fixture
def run(server: TritonServer) -> Callable[..., subprocess.CompletedProcess]:
    """`readability score` with half the encoder's share."""

    def run(*arguments: object) -> subprocess.CompletedProcess:
        whole = [sys.executable, "-m", "readability_triton.cli.main", "score", "--url", server.grpc_url]
        command = [*whole, "--bert-weight", "0.5", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    return run


def test_eight_threads_share_a_scorer_that_another_made(url: str, expected: list[float]) -> None:
    with Scorer(url=url) as scorer, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: float(scorer.score([text], 0.5).values[0]), TEXTS * 4))
    assert found == pytest.approx(expected * 4, abs=1e-5)


def test_an_async_scorer_made_outside_a_loop_is_used_by_two_in_turn(url: str, expected: list[float]) -> None:
    scorer = AsyncScorer(url=url)

    async def ask() -> list[float]:
        return (await scorer.score(TEXTS, 0.5)).values.tolist()

    assert asyncio.run(ask()) == pytest.approx(expected, abs=1e-5)
    assert asyncio.run(ask()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("texts", "row"), [("one string", None), ([None, "a"], 0), (["a", NAN], 1), (pd.Series(["a", pd.NA]), 1), ([3], 0)]
)
def test_what_is_no_list_of_texts_is_refused_by_row(url: str, texts: object, row: int | None) -> None:
    with Scorer(url=url) as scorer, pytest.raises(InvalidRequestError) as refused:
        scorer.score(texts)
    assert refused.value.row == row


def test_gaps_of_a_column_have_no_score_by_an_option(url: str, expected: list[float]) -> None:
    column = pd.Series([TEXTS[0], None, TEXTS[1], NAN, pd.NA])
    with Scorer(url=url) as scorer:
        values = scorer.score(column, 0.5, missing="nan").values
    np.testing.assert_allclose(values, [expected[0], NAN, expected[1], NAN, NAN], atol=1e-5)


class TlsProxy:
    """TLS before a port of the server, as a gateway has it."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.CancelledError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture(params=["grpcs", "https"])
def secure_url(request: pytest.FixtureRequest, server: TritonServer, authority: trustme.CA) -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"] if request.param == "grpcs" else ["http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    proxy = TlsProxy(server.grpc_port if request.param == "grpcs" else server.http_port, context)
    yield f"{request.param}://localhost:{proxy.port}"
    proxy.stop()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_the_server_may_stand_behind_tls(
    secure_url: str, authority: trustme.CA, expected: list[float], tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    access = Access(ca=tmp_path / "ca.pem", headers={"X-Team": "reading"}, token="secret", compression="gzip")
    with Scorer(url=secure_url, access=access) as scorer, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: float(scorer.score([text], 0.5).values[0]), TEXTS))
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_folder_of_what_people_have_is_scored(run: Callable, expected: list[float], tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="needs the extra [documents]")
    text = TEXTS[0]
    (tmp_path / "utf16.txt").write_text(text, encoding="utf-16")
    (tmp_path / "windows.txt").write_bytes(f"“{text}” – café".encode("cp1252"))
    (tmp_path / "page.html").write_text(f"<html><style>b {{}}</style><p>{text}</p></html>")
    (tmp_path / "film.srt").write_text(f"1\n00:00:01,000 --> 00:00:04,000\n{' '.join(text.split())}\n")
    document = docx.Document()
    document.add_paragraph(text)
    document.save(str(tmp_path / "letter.docx"))
    result = run("--format", "json", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    scores = {Path(each["name"]).name: each["score"] for each in json.loads(result.stdout)["documents"]}
    assert scores.keys() == {"utf16.txt", "windows.txt", "page.html", "film.srt", "letter.docx"}
    assert scores["utf16.txt"] == pytest.approx(expected[0], abs=1e-4)
    assert max(abs(score - expected[0]) for score in scores.values()) < 0.5


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_comes_back_with_scores_and_its_gaps(
    run: Callable, expected: list[float], tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra [documents]")
    frame = pd.DataFrame({"id": range(len(TEXTS) + 1), "text": [*TEXTS[:3], None, *TEXTS[3:]]})
    source, target = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    frame.to_csv(source, index=False) if kind == "csv" else frame.to_parquet(source)
    result = run("--column", "text", "--output", target, source)
    assert (result.returncode, result.stdout) == (0, "")
    found = pd.read_csv(target) if kind == "csv" else pd.read_parquet(target)
    assert found["id"].tolist() == frame["id"].tolist()
    np.testing.assert_allclose(found["score"], [*expected[:3], NAN, *expected[3:]], atol=1e-4)


def test_many_files_are_scored_with_their_rate_and_the_time_left_on_standard_error(
    run: Callable, expected: list[float], tmp_path: Path
) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.txt").write_text(TEXTS[number % len(TEXTS)])
    result = run("--format", "csv", tmp_path)
    assert result.returncode == 0
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [Path(row["document"]).name for row in rows] == [f"{number:03}.txt" for number in range(300)]
    scores = [float(row["score"]) for row in rows]
    assert scores == pytest.approx([expected[number % len(TEXTS)] for number in range(300)], abs=1e-4)
    assert "scoring" in result.stderr
