"""Every key of the configuration, read from its types."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from playsmart_gateway.config import Config, Secret
from playsmart_gateway.config.tables import Section
from playsmart_gateway.dialects import ALL
from playsmart_gateway.economy.points.definitions import Definition, Milestone


def keys_of(section: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every key with the name of its table, those of arrays of tables too."""
    for field in msgspec.structs.fields(section):
        item = (get_args(field.type) or (field.type,))[0]
        is_table = isinstance(item, type) and issubclass(item, Section | Definition)
        if is_table and item not in (Secret, Milestone):
            yield from keys_of(item, f"{name}.{field.name}".removeprefix("."))
        else:
            yield name, field


KEYS = [each for each in keys_of(Config, "") if each[1].name != "dialects"]
KEYS += [
    each
    for dialect in ALL
    if (section := dialect.section) is not None
    for each in keys_of(section, section.table)
]
