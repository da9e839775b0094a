"""What all pages have in common: the frame around each, its palette, its keys, its health light.

A page is a file that begins with what belongs into the head, ``<title>`` first, and goes on from
``<body>``; ``Shell.frame`` puts the rest around it. All that it writes is relative to the page, so
that the pages work behind a proxy that puts a path before ours. ``shell.js`` keeps the game and the
time that one looks at from page to page, in the address and for as long as the tab is open.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

from starlette.routing import Route

from playsmart_gateway.http.static import SECURITY_HEADERS, Asset

PATH = "/shell"
PRODUCT = "playsmart_gateway"

_HERE = Path(__file__).parent
_ASSETS = ("shell.css", "shell.js", "icon.svg")


class Entry(NamedTuple):
    """One page in the navigation; ``g`` and then ``key`` leads to it.

    ``about`` is what one sees there, ``keeps`` what of its address it shares with other pages.
    """

    path: str
    name: str
    key: str
    about: str
    keeps: str = ""


HOME = Entry("/", "Home", "h", "how it is, and where to go")
OPERATORS = (
    Entry("/inspector", "Inspector", "i", "requests as they come, and why one was refused", "game"),
    Entry("/dashboard", "Dashboard", "d", "what players do now, in charts", "game range"),
    Entry(
        *("/dashboard/report", "Report", "r", "what they did in a time that you choose"),
        keeps="game range from to",
    ),
    Entry(
        "/catalogue", "Catalogue", "c", "what events are like, and what is odd about them", "game"
    ),
    Entry("/dead-letters", "Dead letters", "l", "what was taken and could not be stored", "game"),
)
PUBLIC = (
    Entry("/docs", "Docs", "a", "the API explained, to try out"),
    Entry("/manual", "Manual", "m", "how to use and run all of this, chapter by chapter"),
)
DEMO = Entry("/demo", "Demo", "o", "a game that breaks its own network")


class Shell:
    """The frame around the pages of one gateway, whose navigation has these ``entries``."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)

    def frame(self, path: str, page: str) -> str:
        """Return the whole document of the page at ``path``, of which ``page`` is the own part."""
        head, _, body = page.partition("<body")
        attributes, _, content = body.partition(">")
        here = self._section(path)
        parts = {
            "head": head.replace("</title>", f" · {PRODUCT}</title>", 1).strip(),
            "attributes": attributes + (f' data-keeps="{here.keeps}"' if here else ""),
            "root": "../" * (path.count("/") - 1) or "./",
            "entries": "\n".join(self._link(each, path, here) for each in self.entries),
            "content": content.strip(),
        }
        document = (_HERE / "shell.html").read_text("utf-8")
        for name in ("head", "attributes", "entries", "root", "content"):
            document = document.replace(f"<!-- {name} -->", parts[name])
        return document

    def _section(self, path: str) -> Entry | None:
        """Return the entry that the page is, or belongs to."""
        fitting = [
            each
            for each in self.entries
            if path == each.path or (each is not HOME and path.startswith(f"{each.path}/"))
        ]
        return max(fitting, key=lambda each: len(each.path), default=None)

    @staticmethod
    def _link(entry: Entry, path: str, here: Entry | None) -> str:
        current = "page" if path == entry.path else "true"
        mark = f' aria-current="{current}"' if entry is here else ""
        href = f"<!-- root -->{entry.path[1:]}"
        keys = (
            f'aria-keyshortcuts="g {entry.key}" data-key="{entry.key}" data-keeps="{entry.keeps}"'
        )
        return f'<li><a href="{href}" {keys}{mark}>{escape(entry.name)}</a></li>'


def shell_for(*, operators: bool, demo: bool) -> Shell:
    """Return the shell of a gateway that has pages for ``operators`` and the ``demo``, or not."""
    entries = (HOME, *(OPERATORS if operators else ()), *PUBLIC)
    return Shell((*entries, DEMO) if operators and demo else entries)


def routes() -> list[Route]:
    """Return the files of the shell, which anybody may read."""
    assets = {f"{PATH}/{name}": Asset.read(_HERE / name) for name in _ASSETS}
    assets["/favicon.ico"] = assets[f"{PATH}/icon.svg"]  # of what is no page of ours, like JSON
    return [
        Route(path, asset.served(SECURITY_HEADERS), include_in_schema=False)
        for path, asset in assets.items()
    ]
