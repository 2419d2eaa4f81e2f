import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.training.corpus import CorpusError, read_corpus

SHARED_CORPUS = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"
HEADER = "excerpt,target,url\n"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "corpus.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


rows = st.tuples(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip),
    st.floats(-5, 5),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
)


@given(st.lists(rows, min_size=1, max_size=10))
def test_every_row_is_read_as_it_was_written(tmp_path_factory, given_rows):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "url", "excerpt", "target"), *((1, u, x, t) for x, t, u in given_rows)])
    corpus = read_corpus(path)
    assert list(zip(corpus.texts, corpus.targets.tolist(), corpus.urls, strict=True)) == given_rows


def test_an_excerpt_may_run_over_several_lines(tmp_path):
    corpus = read_corpus(written(tmp_path, HEADER + '"one\ntwo, three",0.5,u\n'))
    assert corpus.texts == ["one\ntwo, three"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("excerpt,target\nsome text,1\n", "no column url", id="one column missing"),
        pytest.param("text,score,url\nsome text,1,u\n", "no column excerpt, target", id="two columns missing"),
        pytest.param("", "no column excerpt, target, url", id="empty file"),
        pytest.param(HEADER, "no rows", id="header only"),
        pytest.param(HEADER + "fine,1,u\n,1,u\n", "line 3: no excerpt", id="empty excerpt"),
        pytest.param(HEADER + '"  \t ",1,u\n', "line 2: no excerpt", id="blank excerpt"),
        pytest.param(HEADER + '"over\ntwo lines",1,u\n" ",1,u\n', "line 4: no excerpt", id="lines, not rows"),
        pytest.param(HEADER + "fine,easy,u\n", "line 2: target 'easy' is not a number", id="target in words"),
        pytest.param(HEADER + "fine,,u\n", "line 2: target '' is not a number", id="empty target"),
        pytest.param(HEADER + "fine\n", "line 2: target None is not a number", id="row ends at excerpt"),
        pytest.param(HEADER + "fine,1\n", "line 2", id="row ends at target"),
        pytest.param(HEADER + "fine,1,u\nfine,nan,u\n", "line 3: target 'nan' is not finite", id="nan"),
        pytest.param(HEADER + "fine,-inf,u\n", "line 2: target '-inf' is not finite", id="infinity"),
        pytest.param(HEADER.encode() + b"caf\xe9,1,u\n", "utf-8", id="not UTF-8"),
        pytest.param(HEADER + '"' + "never closed " * 12_000, "after line 1", id="quote never closed"),
    ],
)
def test_what_is_no_corpus_is_refused_with_the_file_the_line_and_the_reason(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(CorpusError) as refused:
        read_corpus(path)
    assert str(path) in str(refused.value)
    assert message.lower() in str(refused.value).lower()


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match=r"absent\.csv"):
        read_corpus(tmp_path / "absent.csv")


@pytest.mark.skipif(not SHARED_CORPUS.is_file(), reason="the CLEAR training rows are not on this machine")
def test_the_clear_training_rows_are_a_corpus():
    corpus = read_corpus(SHARED_CORPUS)
    assert len(corpus.texts) == len(corpus.targets) == len(corpus.urls) == 2834
    assert len(set(corpus.urls)) == 2217
    assert corpus.targets.mean() == pytest.approx(-0.96, abs=0.01)
