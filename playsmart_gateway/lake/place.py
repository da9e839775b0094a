"""Where the files of a lake are: a folder, or a prefix in an object store.

A file is there as a whole or not at all: in a folder it gets its name when all of it is on the
medium; an object store shows an object when it has all of it. Names are relative, with ``/``.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs

from playsmart_gateway.errors import LakeError, at_start
from playsmart_gateway.lake.job import no_place, where
from playsmart_gateway.private import create_file, make_folder

SCHEME = "lake"
"""Of what DuckDB is told where files are in an object store; see ``query``."""

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 20.0
TRIES = 3


class Place:
    """A folder or a prefix; every method raises ``LakeError`` when it cannot be reached."""

    def __init__(self, files: pyarrow.fs.FileSystem, root: str) -> None:
        self.files = files
        self.root = root.rstrip("/")
        self.is_folder = isinstance(files, pyarrow.fs.LocalFileSystem)

    def path(self, name: str) -> str:
        """Return where a file is, as the file system has it."""
        return f"{self.root}/{name}"

    def address(self, name: str) -> str:
        """Return how DuckDB calls a file."""
        return self.path(name) if self.is_folder else f"{SCHEME}://{self.path(name)}"

    def read(self, name: str) -> bytes | None:
        """Return what is in a file; None if there is none."""
        try:
            with self.files.open_input_file(self.path(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreachable(error) from error

    def put(self, name: str, content: bytes) -> None:
        """Have a file with this content, in the place of another one if there is one."""
        try:
            if self.is_folder:
                _put(Path(self.path(name)), content)
                return
            with self.files.open_output_stream(self.path(name)) as file:
                file.write(content)
        except OSError as error:
            raise _unreachable(error) from error

    def remove(self, name: str) -> None:
        """Have no such file."""
        try:
            self.files.delete_file(self.path(name))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unreachable(error) from error

    def names(self, below: str) -> Iterator[str]:
        """Yield the names of all files whose names begin with ``below`` and a slash."""
        selector = pyarrow.fs.FileSelector(self.path(below), allow_not_found=True, recursive=True)
        try:
            found = self.files.get_file_info(selector)
        except OSError as error:
            raise _unreachable(error) from error
        for each in found:
            if each.is_file:
                yield each.path.removeprefix(f"{self.root}/")


def open_place(url: str) -> Place:
    """Return the place of a URL (see ``job.where``); nothing is made or reached yet.

    Raises:
        ConfigError: it cannot be the place of a lake.
    """
    found = where(url)
    if found.scheme == "":
        return Place(pyarrow.fs.LocalFileSystem(), found.path)
    if found.scheme != "s3":
        try:
            return Place(*pyarrow.fs.FileSystem.from_uri(url))
        except (pyarrow.ArrowException, ValueError, OSError):
            raise no_place() from None
    files = pyarrow.fs.S3FileSystem(
        **found.given,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        allow_delayed_open=True,  # small files in one request
    )
    return Place(files, found.path)


def _put(path: Path, content: bytes) -> None:
    """Write a file aside, and give it its name when it is on the medium."""
    make_folder(path.parent)
    aside = path.with_name(f"{path.name}.part")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()  # of somebody who died
    with os.fdopen(create_file(aside), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def require_folder(place: Place) -> None:
    """Make the folder of a lake, or the bucket's part of it, which is nothing.

    Raises:
        ConfigError: there cannot be one.
        NotNow: there may be one later.
    """
    if place.is_folder:
        try:
            make_folder(Path(place.root))
        except OSError as error:
            raise at_start(f"lake.url: {place.root} cannot be made", error) from error


def _unreachable(error: OSError) -> LakeError:
    text = (error.strerror or str(error)).partition("\n")[0]
    return LakeError(f"the lake cannot be reached: {text}")
