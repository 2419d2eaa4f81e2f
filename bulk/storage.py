"""Files by path or URL: on this machine, and wherever Arrow or fsspec can read and write."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import fsspec
import pyarrow as pa
from pyarrow import fs

UNFINISHED = ".unfinished-"
"""Beginning of the name of a file that is being written; readers of Parquet folders skip names with a dot there."""


class Location(NamedTuple):
    """A path on a filesystem.

    Attributes:
        filesystem: of Arrow.
        path: on it.
    """

    filesystem: fs.FileSystem
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, or mounted on it."""
        return isinstance(self.filesystem, fs.LocalFileSystem)


def locate(url: str) -> Location:
    """The file or folder at a path or a URL.

    Raises:
        ValueError, OSError or ImportError: if the URL's scheme is unknown, or its client cannot start.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return Location(fs.LocalFileSystem(), str(Path(url).absolute()))
    if scheme in ("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"):
        return Location(*fs.FileSystem.from_uri(url))
    filesystem, path = fsspec.core.url_to_fs(url)
    return Location(fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path)


def files_below(location: Location) -> list[fs.FileInfo]:
    """Files at a location, by path: the file itself, or all below a folder whose names begin with neither `.` nor `_`.

    Raises:
        FileNotFoundError: if there is nothing.
    """
    info = location.filesystem.get_file_info(location.path)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(f"{location.path} does not exist")
    if info.is_file:
        return [info]
    below = location.filesystem.get_file_info(fs.FileSelector(location.path, recursive=True))
    return sorted((each for each in below if each.is_file and _is_data(each.path, location.path)), key=lambda e: e.path)


def _is_data(path: str, folder: str) -> bool:
    return not any(name.startswith((".", "_")) for name in path.removeprefix(folder).split("/"))


def write(location: Location, name: str, content: Callable[[pa.NativeFile | IO[bytes]], object]) -> None:
    """Write a file of a folder, whole or not at all: what a reader sees under its name is complete.

    On this machine it is written under another name, flushed to the disk and renamed. An object store shows an object
    when its upload is complete; other filesystems rename.

    Args:
        location: the folder, which exists.
        name: of the file; one of that name is replaced.
        content: writes to the open file.

    Raises:
        OSError: if it cannot be written, such as on a full disk; nothing is left then.
    """
    path = f"{location.path}/{name}"
    if isinstance(location.filesystem, fs.S3FileSystem | fs.GcsFileSystem):
        with location.filesystem.open_output_stream(path) as file:
            content(file)
        return
    unfinished = f"{location.path}/{UNFINISHED}{uuid.uuid4().hex}"
    try:
        with _flushed(location, unfinished) as file:
            content(file)
        if location.is_local:
            Path(unfinished).replace(path)
        else:
            location.filesystem.move(unfinished, path)
    except BaseException:
        with suppress(OSError):
            location.filesystem.delete_file(unfinished)
        raise


@contextmanager
def _flushed(location: Location, path: str) -> Iterator[pa.NativeFile | IO[bytes]]:
    if not location.is_local:
        with location.filesystem.open_output_stream(path) as stream:
            yield stream
        return
    with Path(path).open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(location: Location) -> None:
    """Delete what killed processes were writing."""
    for info in location.filesystem.get_file_info(fs.FileSelector(location.path)):
        if info.base_name.startswith(UNFINISHED):
            location.filesystem.delete_file(info.path)
