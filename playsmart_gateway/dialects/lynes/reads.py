"""What applications read back: points, history and streaks of a user; statistics of the project.

Contract sections 1 and 9. It shows ``{"points": 123}`` and the fields of a history entry, and no
other success of these paths; those have the envelope of ``POST /event``.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, get_args

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.dialects.lynes.endpoint import PREFIXES, Access
from playsmart_gateway.dialects.lynes.query import MAX_MS, day, instant, listed, number, wrong
from playsmart_gateway.dialects.lynes.reply import ONLY_GET, iso_8601, sound
from playsmart_gateway.economy.points import (
    Program,
    Streak,
    StreakDefinition,
    summarize,
)
from playsmart_gateway.economy.points.periods import Period
from playsmart_gateway.errors import MethodNotAllowed, NotFound
from playsmart_gateway.http.endpoint import Tokens, answer_to, reading, response
from playsmart_gateway.stores.models import (
    Entry,
    EntryType,
)
from playsmart_gateway.stores.readers import PointsReader

HISTORY_TYPES = ("event", "redemption", "challenge", "streak_milestone", "streak_points")
"""Those of the contract; the ones that no rule here writes are never found."""

DEFAULT_PAGE = 20
MAX_PAGE = 100
MAX_OFFSET = 100_000
"""How far back a page may begin; ``to`` leads further."""

MAX_SUMMARIZED_DAYS = 31
"""Days that are summarized one by one in one answer."""

NO_USER, NO_STREAK, NO_EVENT = "User not found", "Streak not found", "Event not found"

_OTHER_METHODS = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_encode = msgspec.json.Encoder(decimal_format="number").encode
_Read = Callable[[Request], Awaitable[Any]]


def routes(
    program: Program,
    reader: PointsReader,
    tokens: Tokens,
    access: Access,
    *,
    clock: Callable[[], float] = time.time,
) -> list[Route]:
    """Return the routes, each under all prefixes."""
    reads = _Reads(program, reader, tokens, access, clock)
    endpoints = {
        # A user's id may hold a slash, and a streak may be called "points".
        "/user/{userId:path}/streak/{streakId}": reads.streak,
        "/user/{userId:path}/points": reads.points,
        "/user/{userId:path}/history": reads.history,
        "/user/{userId:path}/streak": reads.streaks,
        "/stats/event": reads.event_stats,
        "/analytics/streak": reads.streak_analytics,
    }
    paths = [prefix + path for prefix in PREFIXES for path in endpoints]
    answers = [reading(_encoded(each), sound) for each in endpoints.values()] * len(PREFIXES)
    return [
        *(Route(path, answer) for path, answer in zip(paths, answers, strict=True)),
        *(
            Route(path, _only_get, methods=_OTHER_METHODS, include_in_schema=False)
            for path in paths
        ),
    ]


def _encoded(read: _Read) -> Callable[[Request], Awaitable[bytes]]:
    async def encoded(request: Request) -> bytes:
        return _encode(await read(request))

    return encoded


async def _only_get(_: Request) -> Response:
    answer = answer_to(MethodNotAllowed(ONLY_GET), sound)
    headers = [*answer.headers, (b"allow", b"GET, HEAD")]
    return response(replace(answer, headers=headers))


class _Reads:
    """The endpoints; each returns what is to be encoded."""

    def __init__(
        self,
        program: Program,
        reader: PointsReader,
        tokens: Tokens,
        access: Access,
        clock: Callable[[], float],
    ) -> None:
        self._program = program
        self._reader = reader
        self._tokens = tokens
        self._access = access
        self._clock = clock

    async def points(self, request: Request) -> dict[str, Any]:
        user_id = await self._allowed_user(request)
        points = await self._reader.points(self._access.project, user_id)
        if points is None:
            raise NotFound(NO_USER, cause="user")
        return {"points": points}

    async def history(self, request: Request) -> dict[str, Any]:
        user_id = await self._allowed_user(request)
        wanted = listed(request, "types", ",".join(HISTORY_TYPES))
        if not set(wanted) <= set(HISTORY_TYPES):
            raise wrong("types", f"must be some of {','.join(HISTORY_TYPES)}")
        limit = number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        offset = number(request, "offset", 0, 0, MAX_OFFSET)
        entries = await self._reader.history(
            self._access.project,
            user_id,
            types=[each for each in get_args(EntryType) if each in wanted],
            from_ms=instant(request, "from", 0, self._program.calendar),
            to_ms=instant(request, "to", MAX_MS, self._program.calendar),
            offset=offset,
            limit=limit,
        )
        if not entries:
            await self.points(request)  # nobody is not somebody without history
        return _success([self._shown_entry(each) for each in entries], limit=limit, offset=offset)

    async def streaks(self, request: Request) -> dict[str, Any]:
        user_id = await self._allowed_user(request)
        known = await self._reader.streaks(self._access.project, user_id)
        if not known:
            await self.points(request)
        streaks = self._program.streaks.values()
        return _success([self._shown_streak(each, known.get(each.id)) for each in streaks])

    async def streak(self, request: Request) -> dict[str, Any]:
        user_id = await self._allowed_user(request)
        known = await self._reader.streaks(self._access.project, user_id)
        if not known:
            await self.points(request)
        definition = self._program.streaks.get(request.path_params["streakId"])
        if definition is None:
            raise NotFound(NO_STREAK, cause="streak")
        return _success(self._shown_streak(definition, known.get(definition.id)))

    async def event_stats(self, request: Request) -> dict[str, Any]:
        await self._caller(request)
        query = request.query_params
        event_id = query.get("eventId")
        if not event_id:
            raise wrong("eventId", "is required")
        if event_id not in self._program.events:
            raise NotFound(NO_EVENT, cause="event")
        interval = query.get("interval", "total")
        if interval not in ("total", "day"):
            raise wrong("interval", "must be total or day")
        group = query.get("usergroup")
        if group is not None and "\0" in group:
            raise wrong("usergroup", "must not contain NUL")
        first, last = day(request, "from", date.min), day(request, "to", date.max)
        cells = (self._access.project, event_id)
        days = await self._reader.event_days(*cells, first=first, last=last, group=group)
        stats = await self._reader.event_stats(*cells, first=first, last=last, group=group)
        shown: list[dict[str, Any]] = [
            {"day": each, "events": events} for each, events in days.items()
        ]
        if interval == "day":
            if len(days) > MAX_SUMMARIZED_DAYS:
                raise wrong("interval", f"must span at most {MAX_SUMMARIZED_DAYS} days with events")
            for each in shown:
                at = each["day"]
                of_day = await self._reader.event_stats(*cells, first=at, last=at, group=group)
                each |= msgspec.structs.asdict(summarize(of_day))
        summary = msgspec.structs.asdict(summarize(stats))
        return _success({"eventId": event_id, "usergroup": group, **summary, "days": shown})

    async def streak_analytics(self, request: Request) -> dict[str, Any]:
        await self._caller(request)
        wanted = request.query_params.get("streakId")
        found = [each for each in self._program.streaks.values() if wanted in (None, each.id)]
        if wanted is not None and not found:
            raise NotFound(NO_STREAK, cause="streak")
        return _success([await self._figures(each) for each in found])

    async def _figures(self, streak: StreakDefinition) -> dict[str, Any]:
        figures = await self._reader.streak_figures(
            self._access.project, streak.id, self._active_since(streak)
        )
        return {
            "streakId": streak.id,
            "period": streak.period,
            "users": figures.users,
            "active": figures.active,
            "longestCount": figures.longest,
            "averageCount": figures.total / figures.active if figures.active else 0,
            "distribution": [
                {"count": count, "users": users} for count, users in figures.users_by_count.items()
            ],
        }

    def _shown_entry(self, entry: Entry) -> dict[str, Any]:
        known = self._program.events if entry.type == "event" else self._program.streaks
        source = known.get(entry.source_id)
        return {
            "id": str(entry.id),
            "title": (source.title if source else "") or entry.source_id,
            "description": source.description if source else "",
            "points": entry.points,
            "type": entry.type,
            "timestamp": entry.timestamp_ms,
            "image": None,
        }

    def _shown_streak(self, definition: StreakDefinition, streak: Streak | None) -> dict[str, Any]:
        active = streak is not None and streak.day >= self._active_since(definition)
        return {
            "streakId": definition.id,
            "period": definition.period,
            "active": active,
            "currentCount": streak.count if streak and active else 0,
            "longestCount": streak.longest if streak else 0,
            "lastUpdate": iso_8601(streak.updated_at_ms) if streak else None,
        }

    def _active_since(self, streak: StreakDefinition) -> date:
        """Return the first day on which the last event of a streak that is alive can have been."""
        calendar = self._program.calendar
        period: Period = streak.period  # type: ignore[assignment] # checked by Program
        return calendar.previous(period, calendar.day(int(self._clock() * 1_000)))

    async def _allowed_user(self, request: Request) -> str:
        subject = await self._caller(request)
        user_id: str = request.path_params["userId"]
        self._access.require_user(subject, user_id)
        if "\0" in user_id:  # which no event can hold, and PostgreSQL no parameter
            raise NotFound(NO_USER, cause="user")
        return user_id

    async def _caller(self, request: Request) -> str:
        return (await self._tokens.caller(dict(request.headers.raw))).subject


def _success(data: Any, **more: Any) -> dict[str, Any]:
    return {"success": True, "data": data, **more}
