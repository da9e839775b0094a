"""Holds the words of a statement for PostgreSQL against what is in its catalogs.

A transaction that only reads may still call functions: take the lock that writers wait for, end
other sessions, read the server's files, or run a text as a statement. So a name that the database
knows as a function is refused unless it is one of ``FUNCTIONS``, and one that it knows as a
relation, unless it is documented. To name anything a statement has to spell it, in quotes or not,
where this reads it just as the server does; what could be read in two ways (escapes, strings in
dollars) is refused.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from playsmart_gateway.asking.relations import RELATIONS

_WORDS = """
    count sum avg min max bool_and bool_or every stddev stddev_pop stddev_samp variance var_pop
    var_samp corr percentile_cont percentile_disc mode string_agg array_agg json_agg jsonb_agg
    json_object_agg jsonb_object_agg row_number rank dense_rank percent_rank cume_dist ntile lag
    lead first_value last_value nth_value abs ceil ceiling floor round trunc sign sqrt power exp ln
    log mod div width_bucket random length char_length lower upper substr substring left right btrim
    ltrim rtrim replace split_part strpos position concat concat_ws initcap reverse starts_with md5
    encode to_hex ascii chr translate regexp_match regexp_replace regexp_count regexp_like now date
    date_trunc date_part extract age to_char to_date to_timestamp make_date make_timestamp
    make_interval justify_days justify_hours clock_timestamp timezone generate_series text int4 int8
    float8 numeric bool timestamp timestamptz interval json_extract_path_text
    jsonb_extract_path_text json_array_length jsonb_array_length json_array_elements
    jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_each jsonb_each
    json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_typeof jsonb_typeof
    to_json to_jsonb row_to_json like ilike overlaps overlay varchar char bpchar int2 float4
    any_value array_to_string string_to_array unnest array_length cardinality array_position system
    bernoulli
"""
FUNCTIONS = frozenset(_WORDS.split())
"""They compute, and do nothing else."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
    |(?P<comment>/\*)
    |(?P<string>'(?:[^']|'')*')
    |"(?P<quoted>(?:[^"]|"")+)"
    |(?P<name>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
    |(?P<number>[0-9][0-9A-Za-z_.]*)
    |(?P<parameter>\$[0-9]+(?![0-9A-Za-z_$\x80-\U0010ffff]))
    |(?P<other>[^$'"\\\0])""",
    re.VERBOSE,
)
_CAPITALS = str.maketrans({chr(each): chr(each + 32) for each in range(65, 91)})
_PREFIXES = frozenset("ebnux")
_FIRST = ("select", "with", "values")


class Catalog(NamedTuple):
    """The names of functions, relations and schemas that a statement could mean."""

    functions: frozenset[str]
    relations: frozenset[str]
    schemas: frozenset[str]


class _Token(NamedTuple):
    kind: str
    text: str


def problem_of(sql: str, catalog: Catalog) -> str | None:
    """Return why a statement is refused; None if nothing is to be said against its words."""
    try:
        tokens = list(_tokens(sql))
    except ValueError as error:
        return f"{error}"
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens or tokens[0].kind != "name" or tokens[0].text not in _FIRST:
        return "one SELECT can be asked"
    for each, following in zip(tokens, [*tokens[1:], _Token("end", "")], strict=True):
        if each.text == ";" and each.kind == "other":
            return "one statement can be asked, not several"
        if each.kind in ("name", "quoted") and (problem := _named(each, following, catalog)):
            return problem
    return None


def _named(token: _Token, following: _Token, catalog: Catalog) -> str | None:
    name = token.text
    if name.startswith("pg_") or name == "information_schema":
        return f"{name} is not to be read or called"
    if following.text == "(" and name in catalog.functions and name not in FUNCTIONS:
        return f"the function {name} is not to be called"
    if following.text == "." and name in catalog.schemas:
        return f"the schema {name} is not to be read"
    if name in catalog.relations and name not in RELATIONS:
        return f"the relation {name} is not to be read, nor a name to give"
    return None


def _tokens(sql: str) -> Iterator[_Token]:
    """Yield what a statement is made of, but for space and comments; names as the server has them.

    Raises:
        ValueError: something could be read in another way, too.
    """
    position, before = 0, _Token("", "")
    touches = False
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:
            raise ValueError("escapes, strings in dollars and open quotes are not read")
        position, kind = found.end(), found.lastgroup or ""
        text = found[0]
        if kind in ("space", "comment"):
            position = _behind_comment(sql, position) if kind == "comment" else position
            touches = False
            continue
        if kind == "name":
            text = text.translate(_CAPITALS)
        elif kind == "quoted":
            text = found["quoted"].replace('""', '"')
        is_text = kind in ("string", "quoted")
        if is_text and touches and (before.text in _PREFIXES or before.text == "&"):
            raise ValueError("strings and names with a prefix are not read")
        if kind == before.kind == "string":
            raise ValueError("one string behind another is not read")
        before, touches = _Token(kind, text), True
        yield before


def _behind_comment(sql: str, position: int) -> int:
    """Return where a comment ends that begins before ``position``; they may be nested."""
    depth = 1
    for found in re.finditer(r"/\*|\*/", sql[position:]):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return position + found.end()
    raise ValueError("a comment has no end")
