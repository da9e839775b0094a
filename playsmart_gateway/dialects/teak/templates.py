"""Liquid templates in a sandbox, and the process that renders them.

Templates come with requests, so work is bounded by what was sent. Before a template is parsed its
tags, outputs and filters are counted, and ranges are refused: they cost what they span. No tag
loops, loads or reads a clock, so each part is rendered at most once. Every text, list and number
that a filter makes is bounded, and so is what all filters together may read and write. A template
that breaks a bound is a broken template like any other.

Whatever the library has in store beside that: ``main`` renders for a ``renderer.Renderer`` in a
process of its own, which the kernel ends when one template has used up its CPU time.
"""

import json
import re
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import Any, BinaryIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.tags.case_tag import CaseNode, CaseTag, MultiExpressionBlockNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.token import Token

from playsmart_gateway.dialects.teak.deep_links import MAX_LINK_LENGTH, Property, holds_markup

MAX_TEXT_LENGTH = 16_384
"""Characters of any text while rendering, and bytes of the result; properties have as many."""

MAX_NUMBER_BITS = 256
"""Size of an integer while rendering; properties have 30 digits, some 90 bits."""

MAX_LIST_LENGTH = 1_024
"""Items of a list while rendering."""

MAX_MARKUP = 64
"""Tags and outputs of a template."""

MAX_FILTERS = 64
"""Filters of a template, or anything else that is written ``|``."""

MAX_WORK = 8 * MAX_TEXT_LENGTH
"""Characters and items that all filters of a template together read and write."""

CPU_SECONDS = 0.5
"""What one template may cost ``main``; what keeps the bounds above costs some milliseconds."""

MAX_MEMORY_BYTES = 512 * 1_048_576
"""Address space of ``main``; it takes a tenth of that."""

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
_is_fancy = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})*(\.[0-9]+)?").fullmatch


def render(template: str, properties: Mapping[str, Property]) -> str:
    """Return ``template`` with a player's properties filled in; as it is when it is broken.

    Unknown names are empty. Numbers print as plain digits, without separators or exponents.
    """
    if not holds_markup(template):
        return template
    parsed = _parsed(template)
    if parsed is None:
        return template
    values = {name: _liquid(value) for name, value in properties.items()}
    _meter.spent = 0
    try:
        return parsed.render(values)
    except Exception:  # noqa: BLE001 - whatever breaks in a template, the session goes on
        return template


def is_template(text: str) -> bool:
    """Whether ``text`` can be parsed, and keeps the bounds of a template."""
    return _parsed(text) is not None


@lru_cache(maxsize=_TEMPLATES_KEPT)
def _parsed(template: str) -> BoundTemplate | None:
    if not _is_small(template) or _is_slow_to_parse(template) or _may_span(template):
        return None
    try:
        return _sandbox.from_string(template)
    except (LiquidError, RecursionError):
        return None


def _is_small(template: str) -> bool:
    return (
        len(template) <= MAX_LINK_LENGTH
        and template.count("{{") + template.count("{%") <= MAX_MARKUP
        and template.count("|") <= MAX_FILTERS
    )


def _is_slow_to_parse(template: str) -> bool:
    """Whether the library's lexer, a regular expression, may take quadratic time.

    It does on an output that never ends, which is broken anyway, and on long white space.
    """
    return template.rfind("{{") > template.rfind("}}") or _has_long_space(template) is not None


def _may_span(template: str) -> bool:
    """Whether the library's lexer may find a range in it: a parenthesis, and dots behind it."""
    starts = [at for at in map(template.find, ("{{", "{%")) if at >= 0]
    opening = template.find("(", min(starts)) if starts else -1
    return opening >= 0 and template.find("..", opening) >= 0


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
    """A filter made a value beyond the bounds, or all of them did too much."""


class _Meter:
    """How much the filters of the template that is being rendered have read and written."""

    spent = 0

    def charge(self, *values: object) -> None:
        self.spent += sum(len(each) for each in values if isinstance(each, str | list))
        if self.spent > MAX_WORK:
            raise _TooLarge


_meter = _Meter()


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # keeps the marks by which the library passes its environment
    def bounded(*arguments: Any, **options: Any) -> Any:
        _meter.charge(*arguments, *options.values())
        result = function(*arguments, **options)
        _meter.charge(result)
        if isinstance(result, str | list):
            if len(result) > (MAX_TEXT_LENGTH if isinstance(result, str) else MAX_LIST_LENGTH):
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


class _Once(Expression):
    """Whether any value of a ``when`` is the one."""

    __slots__ = ("_matches",)

    def __init__(self, matches: Expression) -> None:
        super().__init__(token=matches.token)
        self._matches = matches

    def evaluate(self, context: RenderContext) -> list[bool]:
        return [any(self._matches.evaluate(context))]  # type: ignore[arg-type] # a list of bools

    def children(self) -> list[Expression]:
        return [self._matches]


class _Case(CaseNode):
    """The library's renders the block of a ``when`` once for each value that matches."""

    __slots__ = ()

    def __init__(self, token: Token, expression: Expression, blocks: list[Any]) -> None:
        super().__init__(token, expression, blocks)
        for block in blocks:
            if isinstance(block, MultiExpressionBlockNode):
                block.expression = _Once(block.expression)  # type: ignore[assignment]


class _CaseTag(CaseTag):
    node_class = _Case


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
        self.tags["case"] = _CaseTag(self)
        filters = {name: self.filters[name] for name in _FILTERS} | {
            "replace": _replace,
            "slice": _slice,
            "unfancy": _unfancy,
            "number_to_human": _number_to_human,
        }
        self.filters = {name: _bounded(function) for name, function in filters.items()}


# The library answers to "now" and "today" with the time; here they are names like any other.
_sandbox = _Sandbox(globals={"now": None, "today": None})


# ---- A process of its own -------------------------------------------------------------------


def main() -> None:
    """Answer lines that ``renderer.encoded`` makes with lines of JSON, until there are no more.

    Begins with an empty line, when it is ready. Signals that are for the gateway are not for it:
    it ends with its input. One rendering that takes ``CPU_SECONDS`` ends it at once, whatever runs.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF,))
    with suppress(ValueError, OSError):  # macOS has no such limit; the others are there
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    serve(render, sys.stdin.buffer, sys.stdout.buffer)


def serve(work: Callable[..., str], requests: BinaryIO, answers: BinaryIO) -> None:
    """Do the ``work`` of each request, with the kernel's clock running."""
    answers.write(b"\n")
    answers.flush()
    for line in requests:
        template, values = json.loads(line)
        properties = {name: _KINDS[kind](text) for name, (kind, text) in values.items()}
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        text = work(template, properties)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(text).encode() + b"\n")
        answers.flush()


_KINDS: dict[str, type[str] | type[int] | type[Decimal]] = {
    kind.__name__: kind for kind in (str, int, Decimal)
}
