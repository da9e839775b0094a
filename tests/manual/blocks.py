"""The fenced blocks of the README and the manual."""

import re
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.manual import CHAPTERS, read
from tests import ROOT

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One block: ``chapter`` is ``README`` or the name of a chapter, ``line`` where it begins."""

    chapter: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.chapter}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks in these languages, of all if none is given, as they follow each other."""
    return [each for each in ALL if not languages or each.language in languages]


def block(chapter: str, language: str, begins: str = "") -> str:
    """The text of the one block of a chapter in that language that begins so."""
    (found,) = (
        each.text
        for each in blocks(language)
        if each.chapter == chapter and each.text.startswith(begins)
    )
    return found


def _in(chapter: str, text: str) -> list[Block]:
    return [
        Block(chapter, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


ALL = [
    *_in("README", Path(ROOT / "README.md").read_text("utf-8")),
    *(found for name in CHAPTERS for found in _in(name, read(name))),
]
