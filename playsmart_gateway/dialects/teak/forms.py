"""``application/x-www-form-urlencoded`` bodies as the structure that a JSON body would have.

Names nest as in Rack: ``a[b]=1`` is a map, ``a[]=1`` a list, and ``a[][b]=1`` a list of maps in
which a new map begins where the last one has the name already. Of a plain name given twice the
last value wins; a name used as two kinds of value (``a=1&a[b]=2``) is refused. A name that is
no such path (``a[b``, ``[b]``, ``a[][]``) is taken whole. A name without ``=`` is null. Unlike
Rack, maps whose names are all numbers can be had as lists, see ``listed``. White space around a
value is not part of it, as people write forms by hand.
"""

import re
from binascii import a2b_qp
from typing import Any

from playsmart_gateway.errors import Detail, Malformed

MAX_FIELDS = 4_096
"""Names in one body; a full batch of events has about 900."""

MAX_DEPTH = 8
"""How many brackets a name may hold; the names of Teak's API hold two."""

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_is_path = re.compile(r"[^\[\]]+(\[\](?!\[\])|\[[^\[\]]+\])+").fullmatch
_BRACKETS = (("%5B", "["), ("%5D", "]"), ("%5b", "["), ("%5d", "]"))


def parse(body: bytes) -> dict[str, Any]:
    """Return the fields of a form as strings, lists and maps, in the order they came.

    Raises:
        Malformed: not UTF-8, a broken escape, more than ``MAX_FIELDS`` names, more than
            ``MAX_DEPTH`` brackets in one, or one used as two kinds of value.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise _malformed(f"has more than {MAX_FIELDS} fields")
    try:
        text = str(body, "utf-8")
        if _BROKEN_ESCAPE.search(text):
            raise _malformed("has a broken percent escape")
        text = text.replace("+", " ")
        for escape, bracket in _BRACKETS:  # here at once rather than in every name
            text = text.replace(escape, bracket)
        fields: dict[str, Any] = {}
        for pair in text.split("&"):
            if pair:
                name, equals, value = pair.partition("=")
                _put(fields, _path(_decoded(name)), _decoded(value).strip() if equals else None)
    except UnicodeDecodeError:
        raise _malformed("is not UTF-8") from None
    return fields


def listed(value: object) -> object:
    """Return a map whose names are all numbers as a list in their order, anything else as it is."""
    if isinstance(value, dict) and value and all(map(_is_index, value)):
        return [value[name] for name in sorted(value, key=int)]
    return value


def _malformed(message: str) -> Malformed:
    wrong = Detail("body", message)
    return Malformed(details=[wrong], told=wrong.text)


def _is_index(name: str) -> bool:
    return len(name) <= 18 and name.isascii() and name.isdigit()


def _decoded(text: str) -> str:
    """Undo the escapes of a text that has no broken ones, in C: one by one they take a while."""
    if "%" not in text:
        return text
    return str(a2b_qp(text.replace("=", "=3D").replace("%", "=").encode()), "utf-8")


def _path(name: str) -> list[str]:
    """Split ``a[b][]`` into ``a``, ``b`` and an empty name, which stands for the end of a list."""
    if name.count("[") > MAX_DEPTH:
        raise _malformed(f"has a name with more than {MAX_DEPTH} brackets")
    return name[:-1].replace("][", "[").split("[") if _is_path(name) else [name]


def _put(place: dict[str, Any], path: list[str], value: str | None) -> None:
    depth = 0
    while True:
        name = path[depth]
        depth += 1
        if depth == len(path):
            place[name] = value
            return
        if path[depth]:
            place = _child(place, name, dict)
            continue
        items = _child(place, name, list)
        depth += 1
        if depth == len(path):
            items.append(value)
            return
        if not items or type(items[-1]) is not dict or _holds(items[-1], path[depth:]):
            items.append({})
        place = items[-1]


def _child(place: dict[str, Any], name: str, kind: type) -> Any:
    child = place.get(name)
    if child is None:
        child = place[name] = kind()
    elif type(child) is not kind:
        raise _malformed("uses one name for two kinds of value")
    return child


def _holds(item: dict[str, Any], path: list[str]) -> bool:
    """Whether an item has a value where ``path`` leads; lists take any number of them."""
    value: Any = item
    for name in path:
        if not name or type(value) is not dict or name not in value:
            return False
        value = value[name]
    return True
