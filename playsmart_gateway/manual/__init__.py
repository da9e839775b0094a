"""The manual, a Markdown file a chapter, for the terminal, for ``/manual`` and for code hosts.

It owns the order of the chapters, a line on each, and finding a section by its heading. Links go
from chapter to chapter (``growing.md#workers``): a code host follows them, ``pages`` writes them as
``/manual/growing#workers``, and ``playsmart-gateway manual`` takes them as they stand. It knows
nothing of how the gateway works: that the chapters are true is held against the code by
``tests/manual``. Start reading at ``CHAPTERS``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.errors import GatewayError

CHAPTERS = {
    "tutorial": "from nothing to an event in a table, and development mode",
    "clients": "how a game sends events: when, how many, and what to do with each answer",
    "client-godot": "a client in one file for games in Godot",
    "client-java": "a client for games on Android, and for Java elsewhere",
    "client-python": "a client in one file for games in Python, and their servers",
    "client-typescript": "a client for games in browsers, and for programs in node",
    "client-unity": "a client for games in Unity, and for C# elsewhere",
    "playsmart": "POST /ingest/events and GET /v1/...: fields, answers, limits; accounts",
    "teak": "Teak's server API, spoken to the byte",
    "lynes": "Lynes' API: an event a request, answered with points and streaks",
    "coins": "what a completed level pays, the ledger, the audit",
    "data": "the tables, SQL to paste, and the commands that read and delete",
    "questions": "what people ask of games: views for SQL, and the queries to paste",
    "lake": "stored events as Parquet files, typed, and questions to them in SQL",
    "assistants": "an assistant asks the store by MCP: tools, limits, what leaves the house",
    "console": "the inspector, the dashboard, the report and the demo",
    "configuration": "every key, its default and what it means",
    "operations": "start, stop, watch, back up, restore, upgrade, erase; every message explained",
    "deploy": "systemd, containers, Kubernetes, behind a proxy, alerts and a dashboard",
    "growing": "workers, PostgreSQL, NATS JetStream, and when",
    "guarantees": "what a 202 means, fault by fault",
    "performance": "figures, and how to measure your own",
    "decisions": "why it is built as it is, and where what is",
    "changes": "what is new, and what to do when upgrading",
}
"""What each chapter is about, in the order in which they are read."""

_FOLDER = Path(__file__).parent


class Heading(NamedTuple):
    """One heading of a chapter: ``line`` counts from 0, ``anchor`` is what links name."""

    line: int
    level: int
    title: str
    anchor: str


class NotInManual(GatewayError):
    """There is no such chapter, or no such heading in it; the message names what there is."""


def read(reference: str) -> str:
    """Return a chapter, or a section with its subsections, as Markdown.

    ``reference`` is ``growing``, ``growing#workers``, or a link of the manual as it stands,
    ``growing.md#workers``.

    Raises:
        NotInManual: there is no such chapter or heading.
    """
    file, _, anchor = reference.partition("#")
    name = file.removesuffix(".md")
    if name not in CHAPTERS:
        raise NotInManual(f"there is no such chapter; there are {', '.join(CHAPTERS)}")
    text = (_FOLDER / f"{name}.md").read_text("utf-8")
    return _section(name, text, anchor) if anchor else text


def headings(text: str) -> list[Heading]:
    """Return the headings of a chapter; two of the same words get the anchors of a code host."""
    seen: dict[str, int] = {}
    found = []
    for number, level, title in _headings(text):
        anchor = _anchor(title)
        again = seen.get(anchor, 0)
        seen[anchor] = again + 1
        found.append(Heading(number, level, title, f"{anchor}-{again}" if again else anchor))
    return found


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    in_block = False
    for number, line in enumerate(text.splitlines()):
        in_block ^= line.startswith("```")
        if not in_block and (match := re.match("(#+) (.*)", line)):
            yield number, len(match[1]), match[2]


def _anchor(title: str) -> str:
    """Return what GitHub makes of a title: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _section(name: str, text: str, anchor: str) -> str:
    found = headings(text)
    for place, heading in enumerate(found):
        if heading.anchor == anchor:
            behind = (each.line for each in found[place + 1 :] if each.level <= heading.level)
            lines = text.splitlines(keepends=True)
            return "".join(lines[heading.line : next(behind, None)]).rstrip("\n") + "\n"
    known = ", ".join(each.anchor for each in found[1:])
    raise NotInManual(f"chapter {name} has no such heading; it has {known}")
