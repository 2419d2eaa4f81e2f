"""A part is there, whole, or is not."""

import resource
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs the extra [bulk], 140 MB, which requirements.lock leaves out: `make bulk`")

import pyarrow.parquet as pq

from readability_triton.bulk import storage
from readability_triton.bulk.parts import Tally, finished_parts, write_part
from readability_triton.bulk.rows import Chunk, Row
from readability_triton.bulk.scoring import AWAY, Scored, persistently, score_each
from readability_triton.bulk.sources import Source
from readability_triton.bulk.worker import score_chunk
from readability_triton.client.errors import InvalidRequestError, ServerUnreachableError

SOURCE = Source("jsonl", ("a.jsonl",), 100, "0123456789ab")


class Lengths:
    """Scores a text by its length; fails on batches that hold "poison"."""

    def score(self, texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("cannot\nwith details")
        parts = [Scored.failed("") for _ in texts]
        scored = Scored.joined(parts)
        scored.values[:] = [len(text) for text in texts]
        return scored


def a_chunk(*texts: bytes | None) -> Chunk:
    rows = [
        Row(text, (), "" if text is not None else "text is missing", "a.jsonl", at) for at, text in enumerate(texts)
    ]
    return Chunk(0, rows, True, True, 100)


def test_each_bad_row_has_its_reason_and_the_others_their_score() -> None:
    scored = score_chunk(Lengths(), a_chunk(b"four", None, b"\xff", b"  ", b"poison", b"seven"))
    assert [error.partition(":")[0] for error in scored.errors] == [
        *("", "text is missing", "text is not UTF-8", "text holds only white space", "scoring failed", "")
    ]
    assert scored.errors[4] == "scoring failed: cannot"
    assert scored.values[[0, 5]].tolist() == [4, 5]
    assert np.isnan(scored.values[1:5]).all()


def test_a_part_says_what_it_holds(tmp_path: Path) -> None:
    chunk = a_chunk(b"four", None)
    folder = storage.locate(str(tmp_path))
    part = write_part(folder, SOURCE, chunk, (), score_chunk(Lengths(), chunk))
    assert list(finished_parts(folder)) == [part]
    assert part.tally == Tally(2, 0, 100, {"text is missing": 1})
    table = pq.read_table(tmp_path / part.name).to_pylist()
    assert [(row["row"], row["score"], row["error"]) for row in table] == [(0, 4.0, None), (1, None, "text is missing")]


def test_a_disk_that_is_full_leaves_no_part_and_nothing_unfinished(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for the disk's: both fail a write in its middle."""
    chunk = a_chunk(*(str(number).encode() * 9 for number in range(5000)))
    scored = score_chunk(Lengths(), chunk)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_part(storage.locate(str(tmp_path)), SOURCE, chunk, (), scored)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{storage.UNFINISHED}abc").write_text("half")
    (tmp_path / "notes.md").write_text("somebody's")
    storage.remove_unfinished(storage.locate(str(tmp_path)))
    assert [file.name for file in tmp_path.iterdir()] == ["notes.md"]


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-0123456789ab-000000.parquet").write_text("half")
    with pytest.raises(ValueError, match=r"part-0123456789ab-000000\.parquet is not a part"):
        list(finished_parts(storage.locate(str(tmp_path))))


@pytest.mark.parametrize("error", AWAY)
def test_a_server_that_is_away_is_asked_again(error: type[Exception]) -> None:
    answers = iter([error("away"), "answer"])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert persistently(ask, 5) == "answer"


def test_a_server_that_stays_away_is_no_texts_failure() -> None:
    class Away:
        def score(self, texts):
            raise ServerUnreachableError("nobody there")

    with pytest.raises(ServerUnreachableError):
        score_each(Away(), ["a", "b"])
    with pytest.raises(ServerUnreachableError):
        persistently(lambda: Away().score([]), 0)


def test_a_refused_text_is_found_in_its_batch() -> None:
    class Refuses(Lengths):
        def score(self, texts):
            if "bad" in texts:
                raise InvalidRequestError("text is bad", texts.index("bad"))
            return super().score(texts)

    scored = score_each(Refuses(), ["a", "bb", "bad", "dddd", "e"])
    assert scored.errors == ("", "", "text is bad", "", "")
    assert scored.values[[0, 1, 3, 4]].tolist() == [1, 2, 4, 1]
