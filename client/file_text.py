"""Text out of files as people have them: plain text in any encoding, DOCX, PDF, EPUB, HTML, subtitles."""

import codecs
import importlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from readability_triton.client.errors import InvalidRequestError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32's little-endian mark begins with UTF-16's, so it stands first."""

ENOUGH_TO_GO_BY = 64
"""Bytes from which on an encoding is recognised. Of fewer, one that is wrong fits as well."""

ENCODINGS_OF_ENGLISH = ("cp1252", "mac_roman", "utf_16_le", "utf_16_be")
"""What is recognised without a mark. Others differ from these in few letters that English has, and would be guesses."""

PLAIN = (".txt", ".text", ".md", ".rst")

INSTALL = "run `pip install 'readability-triton[documents]'`"


class UnreadableFileError(InvalidRequestError):
    """A file from which no text can be had; the message names it."""


def file_text(name: str, data: bytes, encoding: str | None = None) -> str:
    """The text of a file, by the ending of its name; anything unknown is plain text.

    Args:
        name: path, or `-`.
        data: its content.
        encoding: of plain text, HTML and subtitles; None to recognise it.

    Raises:
        UnreadableFileError: if the content is not what its name says, a library is not installed, or it holds no text.
    """
    read = READERS.get(PurePosixPath(name).suffix.lower())
    if read is None:
        text = decode(name, data, encoding)
    else:
        try:
            text = read(name, data, encoding)
        except UnreadableFileError:
            raise
        except ImportError as error:
            raise UnreadableFileError(f"{name} needs {error.name}: {INSTALL}") from error
        except Exception as error:  # each library has errors of its own
            raise UnreadableFileError(
                f"{name} cannot be read as {PurePosixPath(name).suffix[1:].upper()}: {type(error).__name__}: {error}"
            ) from error
    if not text.strip():
        hint = " of text: a scan needs OCR first" if name.lower().endswith(".pdf") else ""
        raise UnreadableFileError(f"{name} is empty{hint}")
    return text


def check_encoding(encoding: str | None) -> None:
    """Raise `UnreadableFileError` for an encoding that Python does not know; None is none."""
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise UnreadableFileError(f"{encoding} is no encoding that Python knows") from error


def decode(name: str, data: bytes, encoding: str | None = None) -> str:
    """Decode plain text: as asked, by its byte order mark, as UTF-8, or in the encoding that charset-normalizer sees.

    Raises:
        UnreadableFileError: if it is in another encoding than asked, or none is recognised.
    """
    marked = next((found for mark, found in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    check_encoding(encoding)
    try:
        return data.decode(encoding or marked or "utf-8")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        if encoding or marked:
            raise UnreadableFileError(f"{name} is not {encoding or marked}: {where}") from error
        return _recognised(name, data, f"{name} is not UTF-8: {where}")


def _recognised(name: str, data: bytes, trouble: str) -> str:
    if len(data) < ENOUGH_TO_GO_BY:
        raise UnreadableFileError(f"{trouble}; pass --encoding")
    try:
        import charset_normalizer
    except ImportError:
        raise UnreadableFileError(f"{trouble}; pass --encoding, or to have encodings recognised {INSTALL}") from None
    best = charset_normalizer.from_bytes(data, cp_isolation=list(ENCODINGS_OF_ENGLISH)).best()
    if best is None:
        raise UnreadableFileError(f"{trouble}, and no other encoding is recognised; pass --encoding")
    return str(best)


def _library(name: str) -> Any:
    return importlib.import_module(name)


def _docx(name: str, data: bytes, encoding: str | None) -> str:
    """Paragraphs and the cells of tables, in order."""
    document = _library("docx").Document(io.BytesIO(data))
    parts = []
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            parts += [cell.text for row in block.rows for cell in row.cells]
        else:
            parts.append(block.text)
    return "\n\n".join(part for part in parts if part.strip())


def _pdf(name: str, data: bytes, encoding: str | None) -> str:
    """Pages, without a page's line breaks where a sentence goes on; words cut at the end of a line are joined."""
    reader = _library("pypdf").PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFileError(f"{name} wants a password")
    return "\n".join(page.extract_text() for page in reader.pages)


def _html(name: str, data: bytes, encoding: str | None) -> str:
    """What a reader sees: without tags, scripts and styles."""
    etree = _library("lxml.html")
    tree = etree.document_fromstring(data, parser=etree.HTMLParser(encoding=encoding or _declared(name, data)))
    return _rendered(tree)


def _declared(name: str, data: bytes) -> str | None:
    """None where the page itself may say it; UTF-8 where it says nothing and is UTF-8."""
    if any(data.startswith(mark) for mark, _ in BYTE_ORDER_MARKS) or b"charset" in data[:2048].lower():
        return None
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _rendered(tree: Any) -> str:
    inscriptis, model = _library("inscriptis"), _library("inscriptis.model.config")
    for element in tree.xpath("//script | //style | //nav | //noscript | //template"):
        element.drop_tree()
    css = _library("inscriptis.css_profiles").CSS_PROFILES["strict"]
    return str(inscriptis.Inscriptis(tree, model.ParserConfig(css=css)).get_text())


def _epub(name: str, data: bytes, encoding: str | None) -> str:
    """Chapters in the order in which they are read. EbookLib, the library for it, is under the AGPL."""
    etree, html = _library("lxml.etree"), _library("lxml.html")
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        container = etree.fromstring(book.read("META-INF/container.xml"))
        package_path = PurePosixPath(container.xpath("string(//*[local-name()='rootfile']/@full-path)"))
        package = etree.fromstring(book.read(str(package_path)))
        paths = {item.get("id"): item.get("href") for item in package.xpath("//*[local-name()='item']")}
        order = [item.get("idref") for item in package.xpath("//*[local-name()='itemref'][not(@linear='no')]")]
        chapters = [book.read(str(package_path.parent / paths[each])) for each in order]
    parser = html.HTMLParser(encoding="utf-8")
    return "\n\n".join(_rendered(html.document_fromstring(each, parser=parser)) for each in chapters)


def _subtitles(name: str, data: bytes, encoding: str | None) -> str:
    """What is spoken, without numbers, times and formatting."""
    subtitles = _library("pysubs2").SSAFile.from_string(decode(name, data, encoding))
    return "\n".join(event.plaintext.replace("\n", " ") for event in subtitles if not event.is_comment)


READERS: Mapping[str, Callable[[str, bytes, str | None], str]] = {
    ".docx": _docx,
    ".pdf": _pdf,
    ".epub": _epub,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _html,
    ".srt": _subtitles,
    ".vtt": _subtitles,
}


def expand(name: str) -> list[Path]:
    """The files that an argument means: itself, those of a folder and its folders, or what a pattern matches, sorted.

    Of a folder, files whose names end as texts do (`PLAIN` and `READERS`) and do not begin with a dot.

    Raises:
        UnreadableFileError: if a folder has no such file, or nothing matches.
    """
    path = Path(name)
    if path.is_dir():
        endings = (*PLAIN, *READERS)
        found = sorted(
            each
            for each in path.rglob("*")
            if each.suffix.lower() in endings
            and each.is_file()
            and not any(part.startswith(".") for part in each.relative_to(path).parts)
        )
        if not found:
            raise UnreadableFileError(f"{name} has no file that ends in {', '.join(endings)}")
        return found
    if path.exists() or not any(character in name for character in "*?["):
        return [path]
    base = Path(path.anchor) if path.is_absolute() else Path()
    found = sorted(each for each in base.glob(str(path.relative_to(base))) if each.is_file())
    if not found:
        raise UnreadableFileError(f"no file matches {name}")
    return found
