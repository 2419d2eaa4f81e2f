import csv
import io
import json

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.client.passages import cut
from readability_triton.stages.interval import IntervalTable


def score(*arguments: str, stdin: bytes | None = None):
    return CliRunner().invoke(main, ["score", *map(str, arguments)], input=stdin)


def assert_failed(result, exit_code: int, message: str) -> None:
    """One line on standard error, nothing on standard output."""
    assert result.exit_code == exit_code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("readability: ")
    assert message in line


@pytest.fixture
def essay(tmp_path, made_up_text):
    path = tmp_path / "essay.txt"
    path.write_text(made_up_text(500))
    return path


def test_json_holds_the_scores_of_every_passage(wire, essay):
    result = score("--url", wire.url, "--format", "json", essay)
    assert result.exit_code == 0
    (document,) = json.loads(result.stdout)["documents"]
    assert document["name"] == str(essay)
    assert document["answered_by"] == ["bls_pipeline"]
    parts = cut(essay.read_text())
    assert [each["score"] for each in document["passages"]] == [len(part.text) / 2 for part in parts]
    assert [each["words"] for each in document["passages"]] == [part.words for part in parts]


def test_csv_has_a_line_a_passage(wire, essay):
    result = score("--url", wire.url, "--format", "csv", essay, essay)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["document"] for row in rows] == [str(essay)] * 2 * len(cut(essay.read_text()))


def test_the_table_is_for_people(wire, essay):
    result = score("--url", wire.url, essay)
    assert result.exit_code == 0
    assert "hardest" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_is_read_where_asked_or_where_there_are_no_files(wire, arguments):
    result = score("--url", wire.url, "--format", "json", *arguments, stdin="Größer.".encode())
    (document,) = json.loads(result.stdout)["documents"]
    assert document["name"] == "-"
    assert document["score"] == len("Größer.".encode()) / 2


@pytest.fixture
def calibrated(wire):
    """A server whose pipelines have intervals and levels."""
    wire.parameters |= {
        "interval": IntervalTable(0.9, 215, [], [[]], [[-1.0]], [[1.5]]).to_text(),
        "level_line": "4.0 -0.5 0.49",
    }
    return wire


def test_every_format_shows_interval_and_level(calibrated):
    (document,) = json.loads(score("--url", calibrated.url, "--format", "json", stdin=b"Yes.").stdout)["documents"]
    for each in (document, *document["passages"]):
        assert (each["score"], each["low"], each["high"], each["level"]) == (2.0, 1.0, 3.5, "B1")
    (row,) = csv.DictReader(io.StringIO(score("--url", calibrated.url, "--format", "csv", stdin=b"Yes.").stdout))
    assert (row["score"], row["low"], row["high"], row["level"]) == ("2.0", "1.0", "3.5", "B1")
    (line,) = [
        line.split() for line in score("--url", calibrated.url, stdin=b"Yes.").stdout.splitlines() if " 1 " in line
    ]
    assert line == ["-", "1", "2.00", "1.50", "2", "%", "B1"]


def test_with_another_weight_neither_is_shown_and_no_format_says_nan(calibrated):
    given_weight = ("--url", calibrated.url, "--bert-weight", "0.25")
    (document,) = json.loads(score(*given_weight, "--format", "json", stdin=b"Yes.").stdout)["documents"]
    for each in (document, *document["passages"]):
        assert (each["low"], each["high"], each["level"]) == (None, None, None)
    (row,) = csv.DictReader(io.StringIO(score(*given_weight, "--format", "csv", stdin=b"Yes.").stdout))
    assert (row["low"], row["high"], row["level"]) == ("", "", "")
    for style in ("table", "csv", "json"):
        assert "nan" not in score(*given_weight, "--format", style, stdin=b"Yes.").stdout.lower()


def test_help_says_what_the_columns_mean_and_how_often_intervals_hold():
    text = score("--help").stdout
    assert all(each in text for each in ("±", "CEFR", "90.2 %", "0.49 levels", "low, high and level"))


@pytest.mark.parametrize(("weight", "expected"), [("0", 0.0), ("0.25", 1.0), ("1", 4.0)])
def test_the_weight_is_the_one_asked_for(wire, weight, expected):
    result = score("--url", wire.url, "--format", "json", "--bert-weight", weight, stdin=b"Yes.")
    assert json.loads(result.stdout)["documents"][0]["score"] == expected


@pytest.mark.parametrize("weight", ["-0.1", "1.1", "half"])
def test_a_weight_that_is_no_share_is_bad_usage(weight):
    result = score("--bert-weight", weight, stdin=b"Yes.")
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_pipeline_that_stood_in_is_reported(wire):
    wire.down = {"bls_pipeline"}
    result = score("--url", wire.url, "--format", "json", stdin=b"Yes.")
    assert json.loads(result.stdout)["documents"][0]["answered_by"] == ["ensemble_all"]


@pytest.mark.parametrize("style", ["table", "json", "csv"])
@pytest.mark.parametrize(
    ("content", "exit_code", "message"),
    [
        (None, 1, "No such file or directory: '{path}'"),
        (b"", 2, "{path} is empty"),
        (b" \n\t ", 2, "{path} is empty"),
        (b"caf\xe9 au lait", 2, "{path} is not UTF-8: invalid continuation byte at byte 3"),
    ],
    ids=["missing", "empty", "blank", "not UTF-8"],
)
def test_a_file_that_cannot_be_scored_is_named_with_the_reason(tmp_path, style, content, exit_code, message):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    assert_failed(score("--format", style, path), exit_code, message.format(path=path))


def test_a_folder_without_texts_is_named(tmp_path):
    assert_failed(score(tmp_path), 2, f"{tmp_path} has no file that ends in .txt")


@pytest.fixture
def good_and_bad(tmp_path):
    """A folder of five files, of which two cannot be read and one is refused."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    contents = {
        "a.txt": b"Yes.",
        "b.txt": b"",
        "c.txt": b"This is forbidden.",
        "d.pdf": b"no PDF",
        "e.txt": b"No way.",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("style", ["json", "csv"])
def test_files_that_cannot_be_scored_are_named_with_the_reason_and_the_others_scored(wire, good_and_bad, style):
    result = score("--url", wire.url, "--format", style, good_and_bad)
    assert result.exit_code == 2
    if style == "json":
        found = [(each["name"], each["score"]) for each in json.loads(result.stdout)["documents"]]
    else:
        rows = csv.DictReader(io.StringIO(result.stdout))
        found = [(row["document"], float(row["score"])) for row in rows]
    assert found == [(str(good_and_bad / "a.txt"), 2.0), (str(good_and_bad / "e.txt"), 3.5)]
    empty, pdf, refused = result.stderr.splitlines()
    assert empty == f"readability: {good_and_bad / 'b.txt'} is empty"
    assert pdf.startswith(f"readability: {good_and_bad / 'd.pdf'} cannot be read as PDF: ")
    assert refused == f"readability: {good_and_bad / 'c.txt'}: text is forbidden"


def test_a_file_that_cannot_be_opened_is_exit_code_1_and_the_others_are_scored(wire, good_and_bad):
    result = score("--url", wire.url, "--format", "json", good_and_bad / "absent.txt", good_and_bad)
    assert result.exit_code == 1
    assert "absent.txt" in result.stderr.splitlines()[0]
    assert len(json.loads(result.stdout)["documents"]) == 2


def test_a_refused_passage_refuses_its_document_only(wire, essay, tmp_path):
    long = tmp_path / "long.txt"
    long.write_text(f"{essay.read_text()} This is forbidden.")
    result = score("--url", wire.url, "--format", "json", essay, long, essay)
    assert result.exit_code == 2
    assert [each["name"] for each in json.loads(result.stdout)["documents"]] == [str(essay)] * 2
    assert result.stderr == f"readability: {long}: text is forbidden\n"


def test_an_encoding_that_is_none_is_said_once(good_and_bad):
    assert_failed(score("--encoding", "klingon", good_and_bad), 2, "klingon is no encoding that Python knows")


@pytest.mark.parametrize("style", ["table", "json", "csv"])
def test_a_server_that_cannot_be_reached_is_exit_code_3(closed_port, style):
    url = f"grpc://127.0.0.1:{closed_port}"
    result = score("--url", url, "--format", style, stdin=b"Yes.")
    assert_failed(result, 3, f"no server at {url}")


def test_no_pipeline_ready_is_exit_code_4(wire):
    wire.down = {"bls_pipeline", "ensemble_all"}
    assert_failed(score("--url", wire.url, stdin=b"Yes."), 4, "'ensemble_all' is not ready")


def test_without_a_fallback_none_is_asked(wire):
    wire.down = {"bls_pipeline"}
    assert_failed(score("--url", wire.url, "--fallback", "", stdin=b"Yes."), 4, "'bls_pipeline' is not ready")


def test_a_text_that_the_server_refuses_is_exit_code_2(wire):
    assert_failed(score("--url", wire.url, stdin=b"This is forbidden."), 2, "-: text is forbidden")


def test_an_address_that_is_none_is_reported():
    result = score("--url", "ftp://host", stdin=b"Yes.")
    assert result.exit_code != 0
    assert result.stdout == ""
    assert "grpc://HOST:PORT or http://HOST:PORT" in result.stderr


def test_a_folder_a_pattern_and_other_documents_are_scored(wire, tmp_path):
    (tmp_path / "b.txt").write_text("Yes.")
    (tmp_path / "a.html").write_text("<p>No way.</p>")
    for given in (tmp_path, f"{tmp_path}/*"):
        result = score("--url", wire.url, "--format", "json", given)
        documents = json.loads(result.stdout)["documents"]
        assert [(each["name"], each["score"]) for each in documents] == [
            (str(tmp_path / "a.html"), 3.5),
            (str(tmp_path / "b.txt"), 2.0),
        ]


def test_an_encoding_may_be_asked_for(wire, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Größer.".encode("cp1252"))
    result = score("--url", wire.url, "--format", "json", "--encoding", "cp1252", path)
    assert json.loads(result.stdout)["documents"][0]["score"] == len("Größer.".encode()) / 2


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,text\n1,Yes.\n2,\n3,This is forbidden.\n")
    return path


def test_a_table_comes_back_with_scores_and_a_clean_standard_output(wire, table, tmp_path):
    out = tmp_path / "out.csv"
    result = score("--url", wire.url, "--column", "text", "--output", out, "--prefix", "r_", table)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1 rows scored, 1 without a text, 1 refused (column r_error says why)" in " ".join(result.stderr.split())
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["r_score"] for row in rows] == ["2.0", "", ""]
    assert [row["r_error"] for row in rows] == ["", "", "text is forbidden"]


@pytest.mark.parametrize(
    "arguments",
    [("--column", "text"), ("--column", "text", "--output", "x.parquet"), ("--column", "text", "--output", "{table}")],
)
def test_a_table_without_a_place_for_it_is_bad_usage(table, arguments):
    result = score(*(each.format(table=table) for each in arguments), table)
    assert (result.exit_code, result.stdout) == (2, "")


def test_headers_and_the_token_are_sent(wire):
    seen = []
    wire.on_metadata = lambda metadata: seen.append(dict(metadata))
    result = score("--url", wire.url, "--header", "X-Team: reading", "--token", "secret", stdin=b"Yes.")
    assert result.exit_code == 0
    assert {(each["x-team"], each["authorization"]) for each in seen} == {("reading", "Bearer secret")}


@pytest.mark.parametrize("headers", [("nothing",), (":x",), ("a:1", "A:2")])
def test_a_header_that_is_none_or_there_twice_is_bad_usage(headers):
    result = score(*(each for header in headers for each in ("--header", header)), stdin=b"Yes.")
    assert (result.exit_code, result.stdout) == (2, "")


def test_several_addresses_share_the_requests(wire, closed_port):
    result = score("--url", f"grpc://127.0.0.1:{closed_port}", "--url", wire.url, "--format", "json", stdin=b"Yes.")
    assert json.loads(result.stdout)["documents"][0]["score"] == 2.0


def test_strict_needs_a_server_that_checks_texts(wire):
    assert_failed(score("--url", wire.url, "--strict", stdin=b"Yes."), 1, "has no output FLAGS")


@pytest.mark.parametrize("arguments", [("--policy", "deadline"), ("--model-name", "ensemble_all")])
def test_strict_needs_the_policy_that_refuses(wire, arguments):
    result = score("--url", wire.url, "--strict", *arguments, stdin=b"Yes.")
    assert result.exit_code == 2
    assert "--strict needs policy guard of bls_pipeline" in result.stderr
