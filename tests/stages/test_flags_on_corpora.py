"""How often texts are flagged that should not be, and that should: the figures of docs/score.md."""

import ast
import csv
import gettext
import os
import random
import re
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from readability_triton.stages.flags import SHORT, flags

SHARED = Path(__file__).parents[3] / "shared"
CATALOGUES = Path("/usr/share/locale")
PACKAGES = Path(sysconfig.get_path("purelib"))
LANGUAGES = [
    *("cs", "da", "de", "el", "es", "fi", "fr", "hu", "it", "ja"),
    *("nl", "pl", "pt", "ro", "ru", "sk", "sv", "tr", "uk", "zh_CN"),
]
LEAST_FALSE, LEAST_FOUND = 0.995, 0.98
WORDS, CHARACTERS, PASSAGES = 40, 100, 60
"""Of a passage; characters where white space does not separate words; passages of a language at most."""

CODE = {
    "Python": (".py",),
    "C": (".h", ".c"),
    "C++": (".hpp", ".cpp", ".cuh"),
    "JavaScript": (".js",),
    "Perl": (".pm", ".pl"),
    "CMake": (".cmake",),
    "Cython": (".pyx",),
}
COMMENT = re.compile(
    r"\"\"\".*?\"\"\"|/\*.*?\*/|^\s*(?://|#(?!\s*(?:define|include|if|endif|else|undef|pragma))|\*).*?$", re.S | re.M
)
POD = re.compile(r"^=\w+.*?^=cut$|^__END__$.*|^=\w+.*", re.S | re.M)
PLACEHOLDERS = re.compile(r"[%{}\\<>_|=$]|--")


def share_of_doubtful(texts: list[str]) -> float:
    """Share of texts with a flag other than `short`."""
    return sum(bool(set(flags(text)) - {SHORT}) for text in texts) / len(texts)


def column(path: Path, name: str) -> list[str]:
    if not path.exists():
        pytest.skip(f"{path} is not there: a corpus that the project does not ship")
    with path.open(encoding="utf-8", newline="") as rows:
        return [row[name] for row in csv.DictReader(rows)]


@pytest.mark.parametrize(("file", "name"), [("clear/train.csv", "excerpt"), ("prose/passages.csv", "text")])
def test_english_prose_is_not_flagged(file: str, name: str) -> None:
    assert share_of_doubtful(column(SHARED / file, name)) <= 1 - LEAST_FALSE


def test_sentences_of_wikipedia_are_not_flagged() -> None:
    sentences = column(SHARED / "pairs" / "asset.csv", "original")
    joined = [" ".join(sentences[at : at + 10]) for at in range(0, len(sentences), 10)]
    assert share_of_doubtful(joined) <= 1 - LEAST_FALSE


def messages(language: str) -> list[str]:
    """Translated sentences of the installed message catalogues."""
    found = []
    for path in sorted((CATALOGUES / language / "LC_MESSAGES").glob("*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except UnicodeDecodeError:  # a few packages ship catalogues that name another encoding than they have
            continue
        for message, translated in catalogue.items():
            is_sentence = len(translated) >= 30 and not PLACEHOLDERS.search(translated)
            if message and translated != message and is_sentence:
                found.append(" ".join(translated.split()))
    return list(dict.fromkeys(found))


def passages(language: str) -> list[str]:
    found, text = [], ""
    drawn = messages(language)
    random.Random(language).shuffle(drawn)
    for message in drawn:
        text = f"{text} {message}".strip()
        if len(text) >= CHARACTERS if language in ("ja", "zh_CN") else len(text.split()) >= WORDS:
            found.append(text)
            text = ""
    return found[:PASSAGES]


def test_other_languages_are_flagged() -> None:
    by_language = {language: passages(language) for language in LANGUAGES}
    missing = [language for language, texts in by_language.items() if len(texts) < 10]
    if missing:
        pytest.skip(f"no message catalogues of {', '.join(missing)} under {CATALOGUES}: languages are not installed")
    assert share_of_doubtful([text for texts in by_language.values() for text in texts]) >= LEAST_FOUND


@cache
def installed_files() -> list[Path]:
    """Sources and data files that come with installed packages."""
    roots = (PACKAGES, Path("/usr/share/perl"), Path("/usr/share/perl5"))
    suffixes = {".csv", *(suffix for of_language in CODE.values() for suffix in of_language)}
    paths = (Path(folder, name) for root in roots for folder, _, names in os.walk(root) for name in names)
    return sorted(path for path in paths if path.suffix in suffixes and path.is_file())


def installed(*suffixes: str) -> list[Path]:
    return [path for path in installed_files() if path.suffix in suffixes]


def without_comments(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="ignore")
    if path.suffix != ".py":
        return COMMENT.sub("", POD.sub("", text))
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def piece(text: str, draw: random.Random) -> str | None:
    """Lines from somewhere in a text, of `WORDS` words; None if it has too few."""
    lines = text.splitlines(keepends=True)
    start = draw.randrange(max(1, len(lines) - 20))
    rest = "".join(lines[start:])
    ends = [word.end() for word in re.finditer(r"\S+", rest)]
    return rest[: ends[WORDS - 1]] if len(ends) >= WORDS else None


def pieces(files: list[Path], read: Callable[[Path], str], seed: str) -> list[str]:
    draw = random.Random(seed)
    draw.shuffle(files)
    drawn = (piece(read(path), draw) for path in files[: 4 * PASSAGES])
    return [text for text in drawn if text][:PASSAGES]


def test_source_code_is_flagged() -> None:
    by_language = {name: pieces(installed(*suffixes), without_comments, name) for name, suffixes in CODE.items()}
    enough = {name: texts for name, texts in by_language.items() if len(texts) >= 20}
    if len(enough) < 5:
        pytest.skip(f"sources of {', '.join(enough)} only are installed: too few languages")
    assert share_of_doubtful([text for texts in enough.values() for text in texts]) >= LEAST_FOUND


def test_tables_are_flagged() -> None:
    texts = pieces(installed(".csv"), lambda path: path.read_text(encoding="utf-8", errors="ignore"), "tables")
    if len(texts) < 10:
        pytest.skip(f"{len(texts)} tables under {PACKAGES}: too few data files are installed")
    assert share_of_doubtful(texts) >= LEAST_FOUND
