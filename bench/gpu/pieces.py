"""Archives in pieces of bounded size, with check sums: `manifest.json` says which pieces make which archive."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

MANIFEST = "manifest.json"
PIECE_BYTES = 64_000_000
"""Of a piece, at most."""

CHUNK = 1 << 20


class PiecesError(RuntimeError):
    """A piece is missing or is not what was cut."""


def cut(name: str, source: Path, folder: Path, piece_bytes: int = PIECE_BYTES) -> None:
    """Pack the folder `source` as the archive `name` into pieces in `folder`, and enter it in the manifest.

    An archive of that name that is there is replaced. The archive is a plain tar: what lies in it is compressed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}.tar.*"):
        old.unlink()
    writer = _PieceWriter(name, folder, piece_bytes)
    with tarfile.open(fileobj=cast(IO[bytes], writer), mode="w|") as archive:
        for path in sorted(source.iterdir()):
            archive.add(path, path.name)
    writer.close()
    manifest = _read(folder) if (folder / MANIFEST).exists() else {}
    manifest[name] = writer.pieces
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def archives(folder: Path) -> list[str]:
    """Names of the archives of a manifest.

    Raises:
        PiecesError: if there is none.
    """
    return list(_read(folder))


def join(name: str, folder: Path, target: Path) -> None:
    """Check the pieces of the archive `name` and unpack it into `target`, which is made.

    Raises:
        PiecesError: if the archive is unknown, or pieces are missing or damaged; all of them are named, and nothing is
            unpacked.
    """
    manifest = _read(folder)
    if name not in manifest:
        raise PiecesError(f"{folder / MANIFEST} has no archive {name!r}: it has {', '.join(manifest) or 'none'}")
    faults = [fault for piece in manifest[name] if (fault := _fault(folder, piece))]
    if faults:
        raise PiecesError(f"archive {name!r} cannot be put together: {'; '.join(faults)}. Copy these pieces again")
    target.mkdir(parents=True, exist_ok=True)
    reader = _PieceReader([folder / piece["name"] for piece in manifest[name]])
    with tarfile.open(fileobj=cast(IO[bytes], reader), mode="r|") as archive:
        archive.extractall(target, filter="data")


def _read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        manifest: dict[str, list[dict[str, Any]]] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise PiecesError(f"no manifest of pieces: {error}") from None
    except ValueError as error:
        raise PiecesError(f"{folder / MANIFEST} is no manifest: {error}") from None
    return manifest


def _fault(folder: Path, piece: dict[str, Any]) -> str | None:
    path = folder / piece["name"]
    if not path.is_file():
        return f"{path.name} is missing"
    if (size := path.stat().st_size) != piece["bytes"]:
        return f"{path.name} has {size} bytes, not {piece['bytes']}"
    with path.open("rb") as file:
        damaged = hashlib.file_digest(file, "sha256").hexdigest() != piece["sha256"]
    return f"{path.name} is damaged: its SHA-256 is another" if damaged else None


class _PieceWriter:
    """A file for tarfile's stream, which begins a new piece where one is full."""

    def __init__(self, name: str, folder: Path, piece_bytes: int) -> None:
        self._name, self._folder, self._piece_bytes = name, folder, piece_bytes
        self._file: IO[bytes] | None = None
        self._digest, self._written = hashlib.sha256(), 0
        self.pieces: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            file = self._file or self._begin()
            part = left[: self._piece_bytes - self._written]
            file.write(part)
            self._digest.update(part)
            self._written += len(part)
            left = left[len(part) :]
            if self._written == self._piece_bytes:
                self.close()
        return len(data)

    def _begin(self) -> IO[bytes]:
        self._digest, self._written = hashlib.sha256(), 0
        self._file = (self._folder / f"{self._name}.tar.{len(self.pieces):02}").open("wb")
        return self._file

    def close(self) -> None:
        if self._file is None:
            return
        self._file.close()
        name, self._file = Path(self._file.name).name, None
        self.pieces.append({"name": name, "bytes": self._written, "sha256": self._digest.hexdigest()})


class _PieceReader:
    """The pieces as one file for tarfile's stream."""

    def __init__(self, paths: list[Path]) -> None:
        self._chunks, self._left = _chunks(paths), b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (chunk := next(self._chunks, b"")):
            self._left += chunk
        data, self._left = self._left[:size], self._left[size:]
        return data


def _chunks(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
