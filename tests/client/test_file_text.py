import io
import zipfile

import pytest

from readability_triton.client import file_text as module
from readability_triton.client.file_text import UnreadableFileError, expand, file_text

CAFE = "Café owners “quote” prices — naïve ones, too. " * 4
PAGE = """<html><head><title>T</title><style>p {color: red}</style><script>var x = 1;</script></head>
<body><p>The first.</p><p>The <b>se</b>cond &amp; last: é.</p></body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_recognised(encoding):
    assert file_text("a.txt", CAFE.encode(encoding)) == CAFE


def test_windows_1252_is_recognised_where_there_is_enough_of_it():
    assert file_text("a.txt", CAFE.encode("cp1252")) == CAFE


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "latin-1", "cp037"])
def test_an_encoding_may_be_asked_for(encoding):
    text = "Une fête, déjà."
    assert file_text("a.txt", text.encode(encoding), encoding) == text


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"caf\xe9 au lait", None, "a.txt is not UTF-8: invalid continuation byte at byte 3; pass --encoding"),
        (b"caf\xe9", "ascii", "a.txt is not ascii: ordinal not in range"),
        (b"\xff\xfea", None, "a.txt is not utf-16: truncated data"),
        (b"abc", "klingon", "klingon is no encoding"),
        (b" \n", None, "a.txt is empty"),
        (b"", None, "a.txt is empty"),
    ],
)
def test_what_cannot_be_decoded_is_named(data, encoding, message):
    with pytest.raises(UnreadableFileError, match=message):
        file_text("a.txt", data, encoding)


def docx() -> bytes:
    docx = pytest.importorskip("docx", reason="python-docx is not installed: pip install '.[documents]'")
    document = docx.Document()
    document.add_heading("Heading")
    document.add_paragraph("The first.")
    document.add_table(1, 2).cell(0, 1).text = "In a cell."
    document.add_paragraph("The last: é.")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def epub() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("META-INF/container.xml", '<c><rootfiles><rootfile full-path="O/p.opf"/></rootfiles></c>')
        items = "".join(f'<item id="{each}" href="{each}.xhtml"/>' for each in ("one", "two", "notes"))
        spine = '<itemref idref="two"/><itemref idref="one"/><itemref idref="notes" linear="no"/>'
        book.writestr("O/p.opf", f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>")
        for each in ("one", "two", "notes"):
            book.writestr(f"O/{each}.xhtml", f"<html><body><p>Chapter {each}: é.</p></body></html>")
    return out.getvalue()


def pdf(*lines: str) -> bytes:
    """A page with these lines, the smallest file that is one."""
    shown = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
    stream = f"BT /F1 12 Tf 72 700 Td {shown} ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF" % (table, len(out))
    )


SRT = "1\n00:00:01,000 --> 00:00:02,000\n<i>The first</i>\nline.\n\n2\n00:00:03,000 --> 00:00:04,000\nThe last: é.\n"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.docx", docx, "Heading The first. In a cell. The last: é."),
        ("a.epub", epub, "Chapter two: é. Chapter one: é."),
        ("a.pdf", lambda: pdf("The first line", "and the last."), "The first line and the last."),
        ("a.html", PAGE.encode, "The first. The second & last: é."),
        ("a.HTM", lambda: PAGE.replace("<head>", '<head><meta charset="cp1252">').encode("cp1252"), None),
        ("a.html", lambda: PAGE.encode("utf-16"), None),
        ("a.srt", SRT.encode, "The first line. The last: é."),
        ("a.srt", lambda: SRT.encode("utf-16"), "The first line. The last: é."),
        ("a.vtt", lambda: ("WEBVTT\n\n" + SRT.replace(",000", ".000")).encode(), "The first line. The last: é."),
    ],
)
def test_the_text_comes_out_of_each_kind_of_document(name, data, expected):
    text = " ".join(file_text(name, data()).split())
    assert text == (expected or "The first. The second & last: é.")


@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.epub"])
def test_a_file_that_is_not_what_its_name_says_is_named(name):
    with pytest.raises(UnreadableFileError, match=f"{name} cannot be read as {name[2:].upper()}"):
        file_text(name, b"plain text")


def test_a_page_without_text_is_perhaps_a_scan():
    with pytest.raises(UnreadableFileError, match="OCR"):
        file_text("a.pdf", pdf())


@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.epub", "a.html", "a.srt"])
def test_without_the_library_the_extra_is_named(monkeypatch, name):
    def absent(library):
        raise ModuleNotFoundError(name=library)

    monkeypatch.setattr(module, "_library", absent)
    with pytest.raises(UnreadableFileError, match=r"needs \w+.*pip install 'readability-triton\[documents\]'"):
        file_text(name, b"x")


def test_a_folder_is_its_texts_in_order(tmp_path):
    for name in ("b.txt", "a/z.html", "a/.hidden.txt", ".git/x.txt", "photo.jpg", "c.PDF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(each.relative_to(tmp_path)) for each in expand(str(tmp_path))] == ["a/z.html", "b.txt", "c.PDF"]


def test_a_pattern_is_what_it_matches(tmp_path):
    for name in ("2.txt", "1.txt", "odd[1].txt"):
        (tmp_path / name).touch()
    assert [each.name for each in expand(f"{tmp_path}/?.txt")] == ["1.txt", "2.txt"]
    assert [each.name for each in expand(f"{tmp_path}/odd[1].txt")] == ["odd[1].txt"]
    with pytest.raises(UnreadableFileError, match="no file matches"):
        expand(f"{tmp_path}/*.md")


def test_a_folder_without_texts_is_named(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UnreadableFileError, match=f"{tmp_path} has no file that ends in .txt"):
        expand(str(tmp_path))


def test_a_path_that_is_not_there_is_left_to_the_reader(tmp_path):
    assert expand(str(tmp_path / "absent.txt")) == [tmp_path / "absent.txt"]
