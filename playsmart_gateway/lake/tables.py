"""Tables as files: written, read, and made alike where several become one."""

from collections.abc import Sequence

import msgspec
import pyarrow
import pyarrow.parquet

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake.columns import COMMON, PREFIX, TYPES
from playsmart_gateway.lake.kinds import wider
from playsmart_gateway.lake.manifest import File, Properties
from playsmart_gateway.lake.place import Place

ROW_GROUP_EVENTS = 131_072
COMPRESSION = "zstd"
SORTED_BY = [(name, "ascending") for name in ("type", "custom_event_name", "occurred_at")]


def write(place: Place, file: File, table: pyarrow.Table) -> File:
    """Write a table, and return ``file`` with its events and bytes."""
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        table, sink, compression=COMPRESSION, row_group_size=ROW_GROUP_EVENTS
    )
    content = sink.getvalue()
    place.put(file.name, content)
    return msgspec.structs.replace(
        file, events=table.num_rows, size=content.size, plain=table.nbytes
    )


def read(place: Place, file: File, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Return what is in a file, or some columns of it.

    Raises:
        LakeError: it cannot be reached, is gone or is damaged.
    """
    try:
        with place.files.open_input_file(place.path(file.name)) as opened:
            return pyarrow.parquet.read_table(opened, columns=columns)
    except (OSError, pyarrow.ArrowException) as error:
        raise LakeError(f"{file.name} of the lake cannot be read") from error


def joined(
    tables: Sequence[tuple[pyarrow.Table, Properties]],
) -> tuple[pyarrow.Table, Properties]:
    """Return tables as one, and the properties that its columns are of."""
    properties: Properties = {}
    for _, each in tables:
        for name, kind in each.items():
            properties[name] = wider(properties.get(name, kind), kind)
    alike = [_with_columns(table, properties) for table, _ in tables]
    return pyarrow.concat_tables(alike), properties


def in_order(table: pyarrow.Table) -> pyarrow.Table:
    """Return a table as it is in a file: what is asked for together is together."""
    return table.sort_by(SORTED_BY)


def _with_columns(table: pyarrow.Table, properties: Properties) -> pyarrow.Table:
    columns = {name: table[name] for name in COMMON}
    for property_, kind in properties.items():
        name, arrow = f"{PREFIX}{property_}", TYPES[kind]
        there = name in table.column_names
        columns[name] = table[name].cast(arrow) if there else pyarrow.nulls(len(table), arrow)
    return pyarrow.table(columns)
