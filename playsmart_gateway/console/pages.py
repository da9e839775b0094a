"""What the pages of operators have in common: their files, their answers, and a moment's memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.console.access import OperatorGate, PageEndpoint, guarded
from playsmart_gateway.http.static import Asset, Frame

FRESH_SECONDS = 1.0
"""How long what was read is given to others."""

MAX_KEPT = 64
"""Choices whose answers are kept so long."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """What was ``read`` a moment ago, for all who watch; one reads at a time.

    So however many watch, the store is asked the same once a second at most. ``steady`` is in
    seconds, never set, and says how old an answer is.
    """

    def __init__(
        self,
        read: Callable[[Key], Awaitable[Value]],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._steady = steady
        self._turn = asyncio.Lock()
        self._kept: dict[Key, tuple[float, Value | Exception]] = {}

    async def take(self, key: Key) -> Value:
        """Return what was read for ``key``, or read it now; raises what ``read`` does.

        A failure is kept, too: of a store that is locked each would come after ten seconds, and who
        waits for the turn would wait for all of those before.
        """
        async with self._turn:
            now = self._steady()
            self._kept = {
                other: (at, value)
                for other, (at, value) in self._kept.items()
                if now - at < FRESH_SECONDS
            }
            if key in self._kept:
                value = self._kept[key][1]
            else:
                value = await self._try(key)
                if len(self._kept) < MAX_KEPT:
                    self._kept[key] = self._steady(), value
        if isinstance(value, Exception):
            raise value.with_traceback(None)
        return value

    async def _try(self, key: Key) -> Value | Exception:
        try:
            return await self._read(key)
        except Exception as error:  # noqa: BLE001 - it is raised for each who asked
            return error


def json_answer(told: object, status: int = 200) -> Response:
    """Return what a page asked for."""
    return Response(msgspec.json.encode(told), status, media_type="application/json")


def files(
    folder: Path,
    names: Mapping[str, str],
    frame: Frame | None = None,
    *,
    cache_control: str = "no-cache",
) -> dict[str, PageEndpoint]:
    """Return what answers at each path of ``names`` with a file; a page is in the ``frame``."""
    return {
        path: _file(path, folder / name, frame).served({}, cache_control=cache_control)
        for path, name in names.items()
    }


def operators_only(gate: OperatorGate, answers: Mapping[str, PageEndpoint]) -> list[Route]:
    """Return what answers at each path those whom ``gate`` lets in."""
    return [
        Route(path, guarded(gate, answer), include_in_schema=False)
        for path, answer in answers.items()
    ]


def _file(path: str, file: Path, frame: Frame | None) -> Asset:
    asset = Asset.read(file)
    if frame is None or file.suffix != ".html":
        return asset
    return Asset.of(frame(path, asset.body.decode()).encode(), asset.media_type)
