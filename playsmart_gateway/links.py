"""Deep links: short links to templates, and templates to links that name a player's properties.

Templates are Liquid in a sandbox. They come with requests, so whatever they say costs little: no
tag loops, loads or reads a clock, every text and number that a filter makes is bounded, and a
template is short. Work is then linear in what was sent, and a template that breaks a bound is a
broken template like any other.
"""

import re
from collections.abc import Callable, Mapping, Set
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import Any
from urllib.parse import urlsplit

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

MAX_LINK_LENGTH = 2_048
"""Characters of a link before it is rendered."""

MAX_TEXT_LENGTH = 16_384
"""Characters of any text while rendering, and bytes of the result; properties have as many."""

MAX_NUMBER_BITS = 256
"""Size of an integer while rendering; properties have 30 digits, some 90 bits."""

_TEMPLATES_KEPT = 256
_TAGS = frozenset(("if", "unless", "case", "assign", "capture", "comment"))
_MARKUP = frozenset(("content", "output", "illegal"))
_FILTERS = (
    "append", "prepend", "remove", "remove_first", "remove_last", "replace_first", "replace_last",
    "capitalize", "downcase", "upcase", "strip", "lstrip", "rstrip", "squish", "strip_newlines",
    "truncate", "truncatewords", "split", "first", "last", "size", "default",
    "url_encode", "url_decode",
    "abs", "at_least", "at_most", "ceil", "floor", "round",
    "plus", "minus", "times", "divided_by", "modulo",
)  # fmt: skip
_UNITS = ("", " Thousand", " Million", " Billion", " Trillion", " Quadrillion")
_has_long_space = re.compile(r"\s{32}").search
_has_teak_scheme = re.compile(r"teak[a-z0-9+.-]*:", re.ASCII | re.IGNORECASE).match
_is_fancy = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})*(\.[0-9]+)?").fullmatch

Property = str | int | Decimal


def short_link(link: str) -> tuple[str, str] | None:
    """Return the host and path of an HTTP link, without what should not tell two of them apart.

    The host is in lower case; the path has no slash at the end, no query and no fragment.
    """
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return host, parts.path.rstrip("/")


def resolve(link: str, link_domains: Set[str], links: Mapping[str, str]) -> str | None:
    """Return the template that a managed link stands for; None for any other link.

    A link whose scheme begins with ``teak`` is its own template. One on a link domain is looked
    up in ``links`` by ``host/path``, then by ``/path`` alone, both as ``short_link`` writes them.
    """
    if _has_teak_scheme(link):
        return link
    short = short_link(link)
    if short is None or short[0] not in link_domains:
        return None
    host, path = short
    return links.get(host + path) or links.get(path)


def render(template: str, properties: Mapping[str, Property]) -> str:
    """Return ``template`` with a player's properties filled in; as it is when it is broken.

    Unknown names are empty. Numbers print as plain digits, without separators or exponents.
    """
    if "{{" not in template and "{%" not in template:
        return template
    parsed = _parsed(template)
    if parsed is None:
        return template
    values = {name: _liquid(value) for name, value in properties.items()}
    try:
        return parsed.render(values)
    except Exception:  # noqa: BLE001 - whatever breaks in a template, the session goes on
        return template


def is_template(text: str) -> bool:
    """Whether ``text`` is short enough and can be parsed."""
    return _parsed(text) is not None


@lru_cache(maxsize=_TEMPLATES_KEPT)
def _parsed(template: str) -> BoundTemplate | None:
    if len(template) > MAX_LINK_LENGTH or _is_slow_to_parse(template):
        return None
    try:
        return _sandbox.from_string(template)
    except LiquidError:
        return None


def _is_slow_to_parse(template: str) -> bool:
    """Whether the library's lexer, a regular expression, may take quadratic time.

    It does on an output that never ends, which is broken anyway, and on long white space.
    """
    return template.rfind("{{") > template.rfind("}}") or _has_long_space(template) is not None


class _Digits(float):
    """A number with a fraction that prints exactly as it was given."""

    def __new__(cls, number: Decimal) -> "_Digits":
        return super().__new__(cls, number)

    def __init__(self, number: Decimal) -> None:
        self._text = f"{number:f}"

    def __str__(self) -> str:
        return self._text


def _liquid(value: Property) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else _Digits(value)
    return value


# ---- Filters --------------------------------------------------------------------------------


class _TooLarge(Exception):
    """A filter made a value beyond the bounds."""


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # keeps the marks by which the library passes its environment
    def bounded(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        if isinstance(result, str | list):
            if len(result) > MAX_TEXT_LENGTH:
                raise _TooLarge
        elif isinstance(result, int) and result.bit_length() > MAX_NUMBER_BITS:
            raise _TooLarge
        return result

    return bounded


def _replace(value: object, old: object, new: object = "") -> str:
    text, old, new = str(value), str(old), str(new)
    if text.count(old) * len(new) > MAX_TEXT_LENGTH:
        raise _TooLarge  # before it is made
    return text.replace(old, new)


def _slice(value: object, start: int, length: int = 1) -> str:
    """Cut a text; the library's filter also makes lists, of ranges as long as one likes."""
    text = str(value)
    start = int(start)
    start = start + len(text) if start < 0 else start
    return text[start : start + int(length)] if start >= 0 else ""


def _unfancy(value: object) -> str:
    """Take the separators of thousands out of a number; leave any other text alone."""
    text = str(value)
    return text.replace(",", "") if _is_fancy(text) else text


def _number_to_human(value: object, digits: int = 3) -> str:
    """Write a number in words with so many significant digits: ``1.23 Million``."""
    text = _unfancy(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    precision = min(max(int(digits), 1), 60)
    rounded = Context(prec=precision, rounding=ROUND_HALF_UP).plus(number)
    if not rounded:
        return "0"
    unit = min(max(rounded.adjusted(), 0) // 3, len(_UNITS) - 1)
    return f"{rounded.scaleb(-3 * unit).normalize():f}{_UNITS[unit]}"


class _Sandbox(Environment):
    """Only the tags and filters that are named here, and the library's limits, set."""

    block_nesting_limit = 10
    context_depth_limit = 10
    loop_iteration_limit = 1
    local_namespace_limit = 8 * MAX_TEXT_LENGTH
    output_stream_limit = MAX_TEXT_LENGTH

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        allowed = _TAGS | _MARKUP
        self.tags = {name: tag for name, tag in self.tags.items() if name in allowed}
        filters = {name: self.filters[name] for name in _FILTERS} | {
            "replace": _replace,
            "slice": _slice,
            "unfancy": _unfancy,
            "number_to_human": _number_to_human,
        }
        self.filters = {name: _bounded(function) for name, function in filters.items()}


# The library answers to "now" and "today" with the time; here they are names like any other.
_sandbox = _Sandbox(globals={"now": None, "today": None})
