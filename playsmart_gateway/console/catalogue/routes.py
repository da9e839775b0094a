"""``GET /catalogue``: one page that shows what events are like, what is odd, and what was buried.

The page polls ``/catalogue/data``, which is read from the store: what was learned of one game, by a
primary key, and the counts of dead letters. However many watch, that is once a second at most.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.catalogue.definitions import NOTHING, Expected
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.catalogue.telling import told
from playsmart_gateway.console.access import OperatorGate, PageEndpoint, guarded
from playsmart_gateway.errors import Malformed, SinkError
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.ops import Observed
from playsmart_gateway.http.static import Frame
from playsmart_gateway.stores.learned import LearnedStore

PATH = "/catalogue"
TITLE = "what events are like, and what is odd (for operators)"
FRESH_SECONDS = 1.0
"""How long what was read is given to others."""

MAX_GAME_ID = 256
MAX_READ = 16
"""Games of which that is kept so long."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_PAGES = {
    PATH: "catalogue.html",
    f"{PATH}/catalogue.css": "catalogue.css",
    f"{PATH}/catalogue.js": "catalogue.js",
}


class Watched(Observed, Protocol):
    """What of a gateway the page shows."""

    learned: LearnedStore | None


def routes(
    watched: Watched,
    gate: OperatorGate,
    frame: Frame,
    expected: Expected = NOTHING,
    clock: Callable[[], float] = time.time,
) -> list[Route]:
    """Return the page, what belongs to it, and its data; times are by ``clock``.

    The page is in the ``frame`` of all. What is not as ``expected`` is odd.
    """
    shelf = None if watched.learned is None else Shelf(watched.learned, clock, expected=expected)

    async def data(request: Request) -> Response:
        game_id = request.query_params.get("game") or None
        if game_id is not None and len(game_id) > MAX_GAME_ID:
            return refusing(Malformed("invalid_query", cause="query"))
        found, trouble = None, None
        if shelf is None:
            trouble = "no catalogue is kept: it is turned off, or the store keeps none"
        else:
            try:
                found = await shelf.take(game_id)
            except SinkError as error:
                trouble = str(error)
        await watched.refresh()
        content = {
            "version": __version__,
            "now": clock(),
            "trouble": trouble,
            "customdata_misspelt": watched.report().stats.customdata_misspelt,
            "catalogue": found,
        }
        return Response(msgspec.json.encode(content), media_type="application/json")

    answers = {path: _page(path, name, frame) for path, name in _PAGES.items()}
    answers[f"{PATH}/data"] = data
    return [
        Route(path, guarded(gate, answer), include_in_schema=False)
        for path, answer in answers.items()
    ]


class Shelf:
    """What was read a moment ago, for all who watch; one reads at a time.

    ``clock`` is the wall time by which what is odd is told, ``steady`` says how old it is.
    """

    def __init__(
        self,
        learned: LearnedStore,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
        expected: Expected = NOTHING,
    ) -> None:
        self._expected = expected
        self._learned = learned
        self._clock = clock
        self._steady = steady
        self._turn = asyncio.Lock()
        self._read: dict[str | None, tuple[float, dict[str, Any]]] = {}

    async def take(self, game_id: str | None) -> dict[str, Any]:
        """Return what is known of a game, or of the busiest if none is named.

        Raises:
            SinkError: the store cannot be read now.
        """
        async with self._turn:
            now = self._steady()
            self._read = {
                key: each for key, each in self._read.items() if now - each[0] < FRESH_SECONDS
            }
            if (known := self._read.get(game_id)) is not None:
                return known[1]
            found = await self._of(game_id)
            if len(self._read) < MAX_READ:
                self._read[game_id] = now, found
            return found

    async def _of(self, game_id: str | None) -> dict[str, Any]:
        buried = await self._learned.buried()
        kept = await self._learned.kept(game_id or "")
        facts = Facts(kept.learned)
        if game_id is None and facts.games:
            game_id = max(facts.games.items(), key=lambda each: each[1].events)[0].game_id
            kept = await self._learned.kept(game_id)
        games = [
            {"source": key.source, "game_id": key.game_id, "events": game.events}
            for key, game in facts.games.items()
        ]
        facts = Facts({key: text for key, text in kept.learned.items() if key.game_id == game_id})
        return {
            "followed": {"position": kept.position, "end": kept.end},
            "games_known": games,
            "game_id": game_id,
            "dead_letters": [each._asdict() for each in buried],
            **told(facts, self._clock(), self._expected),
        }


def _page(path: str, name: str, frame: Frame) -> PageEndpoint:
    content = (Path(__file__).parent / name).read_text("utf-8")
    media_type = _TYPES[name.rpartition(".")[2]]
    if media_type == "text/html":
        content = frame(path, content)

    async def answer(_: Request) -> Response:
        return Response(content, headers={"cache-control": "no-cache"}, media_type=media_type)

    return answer
