"""Archives in pieces: what is put together is what was cut, or what is wrong is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bench.gpu.pieces import PiecesError, archives, cut, join


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.whl").write_bytes(bytes(range(256)) * 40)
    (folder / "inner" / "two.txt").write_bytes(b"second")
    return folder


@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=4), piece_bytes=st.integers(700, 9000))
def test_what_is_put_together_is_what_was_cut_whatever_the_size_of_a_piece(
    tmp_path_factory, sizes, piece_bytes
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "source").mkdir()
    for number, size in enumerate(sizes):
        (folder / "source" / str(number)).write_bytes(bytes([number]) * size)
    cut("some", folder / "source", folder / "cut", piece_bytes)
    join("some", folder / "cut", folder / "joined")
    assert files_in(folder / "joined") == files_in(folder / "source")
    assert max(path.stat().st_size for path in (folder / "cut").glob("some.tar.*")) <= piece_bytes


def test_an_archive_replaces_the_one_of_its_name_and_leaves_others(source: Path, tmp_path: Path) -> None:
    pieces = tmp_path / "pieces"
    cut("some", source, pieces, 1000)
    cut("other", source, pieces)
    (source / "one.whl").unlink()
    cut("some", source, pieces)
    assert archives(pieces) == ["some", "other"]
    assert sorted(path.name for path in pieces.glob("*.tar.*")) == ["other.tar.00", "some.tar.00"]
    join("some", pieces, tmp_path / "joined")
    assert files_in(tmp_path / "joined") == files_in(source)


def test_every_missing_short_or_damaged_piece_is_named_and_nothing_is_unpacked(source: Path, tmp_path: Path) -> None:
    pieces = tmp_path / "pieces"
    cut("some", source, pieces, 3000)
    (pieces / "some.tar.00").unlink()
    short, damaged = pieces / "some.tar.01", pieces / "some.tar.02"
    short.write_bytes(short.read_bytes()[:-1])
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    with pytest.raises(PiecesError) as error:
        join("some", pieces, tmp_path / "joined")
    for fault in ("some.tar.00 is missing", "some.tar.01 has 2999 bytes, not 3000", "some.tar.02 is damaged"):
        assert fault in str(error.value)
    assert "some.tar.03" not in str(error.value)
    assert not (tmp_path / "joined").exists()


def test_an_archive_that_is_not_there_is_named_with_those_that_are(source: Path, tmp_path: Path) -> None:
    cut("some", source, tmp_path / "pieces")
    with pytest.raises(PiecesError, match="no archive 'other': it has some"):
        join("other", tmp_path / "pieces", tmp_path / "joined")


@pytest.mark.parametrize("text", [None, "{", ""])
def test_a_manifest_that_is_missing_or_cut_off_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(PiecesError, match=r"manifest\.json"):
        archives(tmp_path)
