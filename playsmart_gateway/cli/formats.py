"""Events as files: NDJSON, CSV and Parquet, page by page in constant memory.

What is written is the relation ``events`` in its order. Customdata is embedded in NDJSON digit for
digit as it is stored, and is JSON text in the others; null is an empty field in CSV (RFC 4180) and
null in Parquet, whose times are timestamps (UTC, microseconds). What a terminal or a spreadsheet
would obey is made ``harmless``, unless the raw texts are wanted: in NDJSON that changes no value.
"""

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import msgspec
from typing_extensions import override

from playsmart_gateway.cli.harmless import (
    harmless_cell,
    harmless_json,
)
from playsmart_gateway.errors import ExportError, to_install
from playsmart_gateway.private import create_file
from playsmart_gateway.stores.models import (
    EventFilter,
    StoredEvent,
)
from playsmart_gateway.stores.readers import EventReader

Format = Literal["ndjson", "csv", "parquet"]

EVENTS_PER_PAGE = 10_000
ROW_GROUP_EVENTS = 100_000
ROW_GROUP_BYTES = 33_554_432
"""A row group of a Parquet file is written at either; until then it is in memory."""

_NULL = msgspec.Raw(b"null")
_encode_lines = msgspec.json.Encoder().encode_lines


class Exported(msgspec.Struct, frozen=True):
    """How an export went: behind ``cursor`` another one can go on; not ``complete`` if stopped."""

    events: int
    cursor: int
    complete: bool


class Writer(Protocol):
    """Writes events in one format; ``close`` ends the format, not the file."""

    def write(self, events: Sequence[StoredEvent]) -> None:
        """Append events."""
        ...

    def close(self) -> None:
        """Write what is still due."""
        ...


async def export_events(
    reader: EventReader,
    writer: Writer,
    wanted: EventFilter,
    *,
    after: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int], object] = lambda position, end: None,
) -> Exported:
    """Write the wanted events behind ``after``, as far as they are stored now.

    It ends early, between two pages, when ``stopped`` says so.
    """
    end = max(after, await reader.newest_event_id())
    position, count = after, 0
    while position < end and not stopped():
        page = await reader.events(wanted, after=position, upto=end, limit=EVENTS_PER_PAGE)
        writer.write(page.events)
        position = page.position
        count += len(page.events)
        on_progress(position, end)
    writer.close()
    return Exported(count, position, position == end)


def open_writer(kind: Format, file: IO[bytes], *, raw: bool = False) -> Writer:
    """Return what writes ``kind`` into ``file``; ``raw``: with the texts as they are stored.

    Raises:
        ExportError: it needs a package that is not installed.
    """
    if kind == "parquet":
        return ParquetWriter(file)
    return CsvWriter(file, raw=raw) if kind == "csv" else NdjsonWriter(file, raw=raw)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that has the name ``path`` once all of it is on the medium, or never.

    Raises:
        ExportError: it cannot be written there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(create_file(aside), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


class NdjsonWriter(Writer):
    """One JSON object a line."""

    def __init__(self, file: IO[bytes], *, raw: bool = False) -> None:
        self._file = file
        self._raw = raw

    @override
    def write(self, events: Sequence[StoredEvent]) -> None:
        self._file.write(as_lines(events, raw=self._raw))

    @override
    def close(self) -> None:
        pass


def as_lines(events: Sequence[StoredEvent], *, raw: bool = False) -> bytes:
    """Return events as NDJSON."""
    names = StoredEvent._fields
    lines = _encode_lines(
        [
            dict(zip(names, event, strict=True)) | {"customdata": _raw(event.customdata)}
            for event in events
        ]
    )
    return lines if raw else harmless_json(lines)


def _raw(text: str | None) -> msgspec.Raw:
    return _NULL if text is None else msgspec.Raw(text.encode())


class CsvWriter(Writer):
    """A header, then a record an event."""

    def __init__(self, file: IO[bytes], *, raw: bool = False) -> None:
        self._raw = raw
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._csv = csv.writer(self._text)
        self._csv.writerow(StoredEvent._fields)

    @override
    def write(self, events: Sequence[StoredEvent]) -> None:
        if self._raw:
            self._csv.writerows(events)
            return
        for event_id, *texts in events:
            self._csv.writerow([event_id, *map(harmless_cell, texts)])

    @override
    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class ParquetWriter(Writer):
    """Compressed row groups, with dictionaries for what repeats."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ExportError(f"Parquet needs pyarrow: {to_install('parquet')}") from None
        self._arrow = pyarrow
        texts = dict.fromkeys(StoredEvent._fields, pyarrow.string())
        when = pyarrow.timestamp("us", tz="UTC")
        times = dict.fromkeys(("occurred_at", "received_at", "adjusted_at"), when)
        types = {**texts, "event_id": pyarrow.int64(), **times}
        optional = {"custom_event_name", "customdata", "clock"}
        self._schema = pyarrow.schema(
            [pyarrow.field(name, kind, nullable=name in optional) for name, kind in types.items()]
        )
        self._file = pyarrow.parquet.ParquetWriter(
            file,
            self._schema,
            compression="zstd",
            use_dictionary=["source", "game_id", "user_id", "type", "custom_event_name"],
        )
        self._waiting: list[Any] = []

    @override
    def write(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        arrow = self._arrow
        columns = []
        for field, values in zip(self._schema, zip(*events, strict=True), strict=True):
            plain = arrow.int64() if arrow.types.is_integer(field.type) else arrow.string()
            columns.append(arrow.array(values, plain).cast(field.type))
        self._waiting.append(arrow.Table.from_arrays(columns, schema=self._schema))
        events_waiting = sum(table.num_rows for table in self._waiting)
        bytes_waiting = sum(table.nbytes for table in self._waiting)
        if events_waiting >= ROW_GROUP_EVENTS or bytes_waiting >= ROW_GROUP_BYTES:
            self._write_row_group()

    @override
    def close(self) -> None:
        self._write_row_group()
        self._file.close()

    def _write_row_group(self) -> None:
        if self._waiting:
            self._file.write_table(self._arrow.concat_tables(self._waiting))
            self._waiting.clear()
