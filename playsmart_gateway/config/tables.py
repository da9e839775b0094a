"""From TOML values to frozen structs: every mistake is collected, led by its key.

A table of the file is a ``Section``, or a ``Definition`` of the loyalty program.
"""

import codecs
import contextlib
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from playsmart_gateway.config.environment import WITHIN
from playsmart_gateway.economy.points.definitions import Definition
from playsmart_gateway.errors import ConfigError

SQLITE_PREFIX = "sqlite:///"
_WIDE_MARKS = (  # of UTF-32 first: the shorter one begins like it
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NONE: Mapping[str, str] = {}


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class DialectSection(Section, frozen=True):
    """The table of a dialect, which is called ``table``; each key has a default."""

    table: ClassVar[str]


Table = Section | Definition
T = TypeVar("T", bound=Section)


class Reader:
    """Turns TOML values into sections and collects every mistake, each led by its key."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def table(
        self, section: type[Table], path: str, table: Any, overrides: Mapping[str, str] = _NONE
    ) -> Table | None:
        """Return the section, or None after a mistake anywhere."""
        if not isinstance(table, dict):
            self.problems.append(f"{path}: must be a table")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(section)}
        values = {}
        own, inner = _split(overrides, fields)
        for key in {**table, **own, **inner}:
            if key not in fields:
                self.problems.append(unknown(key, fields, within=f"{path}."))
            elif key in inner and (below := section_in(fields[key].type)):
                values[key] = self.table(below, f"{path}.{key}", table.get(key, {}), inner[key])
            elif key in own:
                values[key] = self.override(fields[key].type, f"{path}.{key}", own[key])
            else:
                values[key] = self.value(fields[key].type, f"{path}.{key}", table[key])
        missing = [key for key, field in fields.items() if field.required and key not in values]
        self.problems += [f"{path}.{key}: is required" for key in missing]
        return None if self.problems else section(**values)

    def value(self, kind: Any, path: str, value: Any) -> Any:
        """Return a value as what its key is declared to hold; None after a mistake."""
        if section := section_in(kind):
            return self.table(section, path, value)
        item = (get_args(kind) or (None,))[0]
        if get_origin(kind) is tuple and is_section(item):
            if isinstance(value, list):
                return tuple(
                    self.table(item, f"{path}.{place}", each) for place, each in enumerate(value)
                )
            self.problems.append(f"{path}: must be an array of tables")
            return None
        if get_origin(kind) is Literal and value not in (allowed := get_args(kind)):
            self.problems.append(f"{path}: must be one of {', '.join(map(str, allowed))}")
            return None
        try:
            return _at_home(path.rpartition(".")[2], msgspec.convert(value, kind))
        except (msgspec.ValidationError, RuntimeError) as error:
            self.problems.append(f"{path}: {error}")
            return None

    def override(self, kind: Any, path: str, text: str) -> Any:
        """Return the first meaning of ``text`` that fits; else what is wrong with the first."""
        attempts = []
        for candidate in _from_text(text):
            attempt = Reader()
            value = attempt.value(kind, path, candidate)
            if not attempt.problems:
                return value
            attempts.append(attempt)
        self.problems += attempts[0].problems
        return None


def is_section(kind: Any) -> TypeGuard[type[Table]]:
    """Whether a key of this type holds a table."""
    return isinstance(kind, type) and issubclass(kind, Section | Definition)


def section_in(kind: Any) -> type[Table] | None:
    """Return the section that a value of this kind is, if it is one or ``Section | None``."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return next(filter(is_section, kinds), None)


def keys_of(kind: Any) -> frozenset[str] | None:
    """Return the keys of a table as variables spell them, those of tables in it too; else None."""
    section = section_in(kind)
    if section is None:
        return None
    keys = set()
    for field in msgspec.structs.fields(section):
        keys.add(field.name)
        keys |= {f"{field.name}{WITHIN}{key}" for key in keys_of(field.type) or ()}
    return frozenset(keys)


def read_toml(path: Path) -> dict[str, Any]:
    """Return what is in a file.

    Raises:
        ConfigError: it cannot be read, is not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(_text_of(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from None


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
        if wide := [name for mark, name in _WIDE_MARKS if content.startswith(mark)]:
            raise ConfigError([f"{path}: is {wide[0]}; save it as UTF-8"])
        return content.decode("utf-8-sig")
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or '').lower()}"
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        problem = f"is not UTF-8 (line {line})"
    raise ConfigError([f"{path}: {problem}"])


def _split(
    overrides: Mapping[str, str], fields: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the overrides of keys, and those of keys in tables by the key of the table."""
    own: dict[str, str] = {}
    inner: dict[str, dict[str, str]] = {}
    for key, text in overrides.items():
        head, separator, rest = key.partition(WITHIN)
        if separator and head in fields and section_in(fields[head].type):
            inner.setdefault(head, {})[rest] = text
        else:
            own[key] = text
    return own, inner


def _at_home(key: str, value: Any) -> Any:
    """Return a value with ``~`` replaced if it is a path, or the URL of a file."""
    if not isinstance(value, str):
        return value
    prefix, path = _path_in(key, value)
    return prefix + str(Path(path).expanduser()) if path.startswith("~") else value


def _path_in(key: str, value: str) -> tuple[str, str]:
    """Return what stands before a path in a value, and the path; none if it has none."""
    if key.endswith("url"):
        if value.startswith(SQLITE_PREFIX):
            return SQLITE_PREFIX, value.removeprefix(SQLITE_PREFIX)
        return (value, "") if ":" in value else ("", value)
    return ("", value) if key == "path" or key.endswith("_file") else (value, "")


def anchored(section: T, folder: Path) -> T:
    """Return a section, and those in it, with relative paths as those of ``folder``."""
    changes: dict[str, Any] = {}
    for key in section.__struct_fields__:
        value = getattr(section, key)
        if isinstance(value, Section):
            changes[key] = anchored(value, folder)
        elif isinstance(value, dict):
            changes[key] = {
                name: anchored(each, folder) if isinstance(each, Section) else each
                for name, each in value.items()
            }
        elif isinstance(value, str) and (path := _path_in(key, value)[1]):
            changes[key] = f"{_path_in(key, value)[0]}{folder / path}"
    return msgspec.structs.replace(section, **changes)


def _from_text(text: str) -> Iterator[Any]:
    """Yield what a variable can mean: a TOML value, or the text itself."""
    with contextlib.suppress(tomllib.TOMLDecodeError, RecursionError):
        yield tomllib.loads(f"value = {text}")["value"]
    yield text


def unknown(key: str, known: Mapping[str, Any], within: str = "") -> str:
    """Say that a key is not known, and which one it may have been."""
    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f"; did you mean {within}{close[0]}?" if close else ""
    return f"{within}{key}: unknown key{hint}"
