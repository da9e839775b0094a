"""``GET /catalogue``: one page that shows what events are like, what is odd, and what was buried.

The page polls ``/catalogue/data``, which is read from the store: what was learned of one game, by a
primary key, and the counts of dead letters. However many watch, that is once a second at most.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.catalogue.definitions import NOTHING, Expected
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.catalogue.telling import told
from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.pages import Cache, files, json_answer, operators_only
from playsmart_gateway.errors import Malformed, SinkError
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.ops import Observed
from playsmart_gateway.http.static import Frame
from playsmart_gateway.stores.learned import LearnedStore

PATH = "/catalogue"
TITLE = "what events are like, and what is odd (for operators)"
MAX_GAME_ID = 256

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
    learned = watched.learned

    async def read(game_id: str | None) -> dict[str, Any] | None:
        return None if learned is None else await _read(learned, game_id, clock(), expected)

    cache = Cache(read)

    async def data(request: Request) -> Response:
        game_id = request.query_params.get("game") or None
        if game_id is not None and len(game_id) > MAX_GAME_ID:
            return refusing(Malformed("invalid_query", cause="query"))
        found, trouble = None, None
        if learned is None:
            trouble = "no catalogue is kept: it is turned off, or the store keeps none"
        try:
            found = await cache.take(game_id)
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
        return json_answer(content)

    return operators_only(
        gate, files(Path(__file__).parent, _PAGES, frame) | {f"{PATH}/data": data}
    )


async def _read(
    learned: LearnedStore, game_id: str | None, now: float, expected: Expected
) -> dict[str, Any]:
    """Return what is known of a game, or of the busiest if none is named."""
    buried = await learned.buried()
    kept = await learned.kept(game_id or "")
    facts = Facts(kept.learned)
    if game_id is None and facts.games:
        game_id = max(facts.games.items(), key=lambda each: each[1].events)[0].game_id
        kept = await learned.kept(game_id)
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
        **told(facts, now, expected),
    }
