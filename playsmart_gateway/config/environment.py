"""What the environment says of the configuration: variables, and the files that they name.

``PLAYSMART_<SECTION>__<KEY>`` is the text of a key, ``PLAYSMART_GAMES`` that of an array of tables.
With ``_FILE`` behind it a variable names a file that holds the text, as container platforms mount
secrets. Any other variable of ours is a mistake, except those that Kubernetes makes up for each
Service of the namespace: those of one called ``playsmart-gateway`` begin like ours. A problem names
a variable and never its value, which may be a secret in the wrong place.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

PREFIX = "PLAYSMART_"
_FILE_KEY = "CONFIG"
FILE_VARIABLE = f"{PREFIX}{_FILE_KEY}"
"""Names the file itself, and so is no key in it; empty it says that there is none."""

WITHIN = "__"
"""Between a section and a key of it."""

MAX_FILE_BYTES = 1_048_576

Known = Mapping[str, frozenset[str] | None]
"""The keys of each section; None for an array of tables, which is set as a whole."""

# Variables of Services, without our prefix. A bare ``..._PORT`` is one only if it holds an address:
# ``PLAYSMART_SERVER_PORT=8000`` is a mistake.
_OF_KUBERNETES = re.compile(
    r"([A-Z0-9_]+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_KUBERNETES = re.compile(r"([A-Z0-9_]+_)?PORT")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


class Overrides(msgspec.Struct):
    """The texts of keys by section, those of arrays of tables by name, and what is wrong."""

    sections: dict[str, dict[str, str]]
    arrays: dict[str, str]
    problems: list[str]


class _Target(NamedTuple):
    section: str  # none: an array of tables
    key: str
    from_file: bool


def as_utf_8(text: str) -> str:
    """Return what a text of the command line or the environment is in UTF-8.

    Python hands on bytes that do not fit the locale as surrogates: those of UTF-8, if it is ASCII.

    Raises:
        UnicodeError: it is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text).decode()
    return text


def read_environment(environment: Mapping[str, str], known: Known) -> Overrides:
    """Return what ``environment`` overrides of what is ``known``.

    Sections and keys that are not known are kept, for whoever knows more about them.
    """
    found = Overrides({}, {}, [])
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX)
        if name in ("", variable, _FILE_KEY) or _is_of_kubernetes(name, value, known):
            continue
        target = _target(name.lower(), known)
        if target is None:
            found.problems.append(f"{variable}: {_misplaced(name, known)}")
            continue
        texts = found.sections.setdefault(target.section, {}) if target.section else found.arrays
        if target.key in texts:
            plain = variable.removesuffix("_FILE").removesuffix("_file")
            found.problems.append(f"{plain}: is set twice, by itself and by {plain}_FILE")
            continue
        try:
            texts[target.key] = _read(value) if target.from_file else as_utf_8(value)
        except (OSError, ValueError, RuntimeError) as error:
            found.problems.append(f"{variable}: {_reason(error)}")
    return found


def _target(name: str, known: Known) -> _Target | None:
    section, separator, key = name.partition(WITHIN)
    keys = known.get(section, frozenset())
    if separator:
        if keys is None:
            return None
        shorter = key.removesuffix("_file")
        from_file = key not in keys and shorter in keys
        return _Target(section, shorter if from_file else key, from_file)
    arrays = [each for each, keys in known.items() if keys is None]
    if name in arrays:
        return _Target("", name, from_file=False)
    if name.removesuffix("_file") in arrays:
        return _Target("", name.removesuffix("_file"), from_file=True)
    return None


def _is_of_kubernetes(name: str, value: str, known: Known) -> bool:
    if name.lower().partition(WITHIN)[0] in known and WITHIN in name:
        return False
    if _OF_KUBERNETES.fullmatch(name):
        return True
    return bool(_PORT_OF_KUBERNETES.fullmatch(name) and _ADDRESS.match(value))


def _misplaced(name: str, known: Known) -> str:
    """Say what a variable that sets nothing should have been called, as far as that is clear."""
    section = name.lower().partition(WITHIN)[0]
    if section in known:
        if known[section] is None:
            return f"is set as a whole, by {PREFIX}{section.upper()}"
        return f"is set key by key, as by {PREFIX}{section.upper()}__{_first(known[section])}"
    names = [each.upper() for each, keys in known.items() if keys is None]
    names += [
        f"{each}{WITHIN}{key}".upper() for each, keys in known.items() for key in sorted(keys or ())
    ]
    close = [each for each in names if each.endswith(f"{WITHIN}{name.upper()}")]
    close = close or difflib.get_close_matches(name.upper(), names, n=1)
    return "unknown variable" + (f"; did you mean {PREFIX}{close[0]}?" if close else "")


def _first(keys: frozenset[str] | None) -> str:
    return min(keys or ("key",)).upper()


def _read(path: str) -> str:
    """Return what is in a file, without the ends of lines behind it."""
    if not path:
        raise ValueError("names no file")
    with Path(path).expanduser().open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"the file that it names has more than {MAX_FILE_BYTES:,} bytes")
    text = content.decode("utf-8-sig").rstrip("\r\n")
    if not text:
        raise ValueError("the file that it names is empty")
    return text


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "is not UTF-8"
    if isinstance(error, OSError):
        return f"the file that it names cannot be read: {(error.strerror or '').lower()}"
    return str(error)
