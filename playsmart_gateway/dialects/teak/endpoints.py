"""The four endpoints of Teak's server API, and what they have in common.

The order is that of contract section 8: parse, game (404), secret (403), rate limit (429),
parameters (400), player (404), act. So who does not know the secret learns nothing and spends
nothing of a game's budget.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from starlette.types import Receive

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.dialects.teak.analytics import (
    AnalyticsEvent,
    Outcome,
    Rejected,
    decode_batch,
    decode_event,
    encode_rows,
)
from playsmart_gateway.dialects.teak.apps import App
from playsmart_gateway.dialects.teak.body import open_body
from playsmart_gateway.dialects.teak.deep_links import resolve
from playsmart_gateway.dialects.teak.identify import decode_identify
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.dialects.teak.properties import decode_properties
from playsmart_gateway.dialects.teak.renderer import Renderer
from playsmart_gateway.errors import Refused, SinkError, StoreUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.sessions import (
    SOURCE,
    Session,
    session_batch,
)
from playsmart_gateway.http.endpoint import (
    Answer,
    Disconnected,
    Headers,
    read_body,
    require_plain_encoding,
)
from playsmart_gateway.http.error_body import (
    JSON_TYPE,
    error_headers,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.intake import Intake
from playsmart_gateway.rate_limit import (
    RETRY_AFTER_SECONDS,
    MakeLimit,
    WrongTries,
    in_process,
)
from playsmart_gateway.stores.contract import AppPlayers
from playsmart_gateway.stores.models import AppPlayer
from playsmart_gateway.stores.readers import AppPlayerReader

DOOR = "teak"
_RETRY_AFTER = (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)


class Parts(NamedTuple):
    """What the endpoints work with."""

    apps: Mapping[str, App]
    intake: Intake
    known_players: KnownPlayers
    reader: AppPlayerReader
    players: AppPlayers
    renderer: Renderer
    stats: Stats
    max_body_bytes: int
    store_client_ip: bool
    clock: Callable[[], float]
    """Wall time in seconds."""
    tries: WrongTries
    make_limit: MakeLimit = in_process


class _Endpoint(ABC):
    """Answers one path, at most ``limit`` times a second and app (0: no limit)."""

    path: ClassVar[str]

    def __init__(self, parts: Parts, limit: int) -> None:
        self._parts = parts
        self._limit = parts.make_limit(limit, tuple(parts.apps))
        self._too_often = replies.rate_limited(self.path, limit)

    async def __call__(self, headers: Headers, receive: Receive) -> Answer | None:
        """See ``Endpoint``."""
        parts = self._parts
        try:
            require_plain_encoding(headers)
            content = await read_body(headers, receive, parts.max_body_bytes)
            body = open_body(content, headers.get(b"content-type"))
            app = parts.apps.get(body.game_id)
            if app is None:
                return self._refuse("unknown_app", 404, self._unknown_app(body.game_id))
            if not app.believes(body.secret_key):
                await parts.tries.pay(DOOR)
                return self._refuse("forbidden", 403, replies.WRONG_SECRET)
            if not self._limit.take(app.id):
                return self._refuse("rate_limited", 429, self._too_often, _RETRY_AFTER)
            try:
                return await self._act(app, body.fields())
            except SinkError as error:
                raise StoreUnavailable(retry_after_seconds=1) from error
        except Disconnected:
            return None
        except Refused as refusal:
            parts.stats.refused_requests[refusal.tag] += 1
            return Answer(refusal.status, replies.refused(refusal), error_headers(refusal))

    def error_body(self, status: int, message: str) -> bytes:
        """See ``Endpoint``."""
        return replies.errors({str(status): [message]})

    @abstractmethod
    async def _act(self, app: App, fields: bytes) -> Answer:
        """Do what a believed app asks for; ``fields`` is the text of a JSON object."""

    def _unknown_app(self, game_id: str) -> bytes:
        return replies.unknown_app(game_id)

    def _refuse(self, tag: str, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Answer:
        self._parts.stats.refused_requests[tag] += 1
        return Answer(status, body, [JSON_TYPE, *headers])

    async def _wait_for_room(self, fields: bytes, max_events: int) -> None:
        intake = self._parts.intake
        if not intake.has_room_for(len(fields), max_events):
            await intake.room_for(len(fields), max_events)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._parts.clock(), UTC)


class AnalyticsEvents(_Endpoint):
    """``POST /v2/analytics_events``: one event of a known player."""

    path = "/v2/analytics_events"

    async def _act(self, app: App, fields: bytes) -> Answer:
        await self._wait_for_room(fields, 1)
        event = decode_event(fields)
        countries = await self._parts.known_players.countries(app.id, [event.user_id])
        if event.user_id not in countries:
            return self._refuse(replies.NOT_FOUND_TAG, 404, replies.PLAYER_UNKNOWN)
        rows = encode_rows(
            [event],
            self._now(),
            countries.__getitem__,
            store_client_ip=self._parts.store_client_ip,
        )
        batch = Batch(SOURCE, app.id, event.user_id, 1, rows)
        await self._parts.intake.accept(batch)
        return Answer(200, replies.EVENT_TAKEN, [JSON_TYPE], batch)


class AnalyticsBatch(_Endpoint):
    """``POST /v2/analytics_events/batch``: up to 100 events, each taken or failed by itself."""

    path = "/v2/analytics_events/batch"

    async def _act(self, app: App, fields: bytes) -> Answer:
        parts = self._parts
        await self._wait_for_room(fields, 100)
        decoded = decode_batch(fields)
        players = {event.user_id for event in decoded if isinstance(event, AnalyticsEvent)}
        countries = await parts.known_players.countries(app.id, players)
        outcomes: list[Outcome] = [
            Rejected(event.user_id, replies.NOT_FOUND)
            if isinstance(event, AnalyticsEvent) and event.user_id not in countries
            else event
            for event in decoded
        ]
        events = [event for event in outcomes if isinstance(event, AnalyticsEvent)]
        batch = None
        if events:
            rows = encode_rows(
                events,
                self._now(),
                countries.__getitem__,
                store_client_ip=parts.store_client_ip,
            )
            batch = Batch(SOURCE, app.id, "", len(events), rows)
            await parts.intake.accept(batch)
        return Answer(200, replies.batch(outcomes), [JSON_TYPE], batch)


class IdentifyPlayer(_Endpoint):
    """``POST /v2/identify``: a session of a player, who is known from then on."""

    path = "/v2/identify"

    async def _act(self, app: App, fields: bytes) -> Answer:
        parts = self._parts
        await self._wait_for_room(fields, 2)
        sent = decode_identify(fields)
        player = await parts.reader.app_player(app.id, sent.user_id)
        known = (
            player.country_code is not None
            or parts.known_players.country(app.id, sent.user_id) is not None
        )
        session = Session(
            app.id,
            sent.user_id,
            sent.country.upper(),
            sent.timezone_id,
            sent.email,
            installs=not known,
        )
        session_id = str(uuid.uuid4())
        client_ip = sent.client_ip if parts.store_client_ip and sent.client_ip else None
        batch = session_batch(session, session_id, self._now(), client_ip)
        await parts.intake.accept(batch)
        link = await self._worked_out(app, sent.deep_link, player) if sent.deep_link else None
        body = replies.session(sent.country, session_id, player.opt_out_states, link)
        return Answer(201, body, [JSON_TYPE], batch)

    async def _worked_out(self, app: App, link: str, player: AppPlayer) -> str:
        """Return where a link leads this player: a managed one is looked up and filled in."""
        template = resolve(link, app.link_domains, app.links)
        if template is None:
            return link
        return await self._parts.renderer.render(template, player.properties)

    def _unknown_app(self, game_id: str) -> bytes:
        return replies.unknown_game(game_id)


class SetPlayerProperties(_Endpoint):
    """``POST /v2/player_properties``: what a game's server knows about a player, stored at once."""

    path = "/v2/player_properties"

    async def _act(self, app: App, fields: bytes) -> Answer:
        parts = self._parts
        sent = decode_properties(fields, app.properties)
        if not await parts.known_players.countries(app.id, [sent.user_id]):
            return self._refuse(replies.NOT_FOUND_TAG, 404, replies.PLAYER_UNKNOWN)
        before = await parts.players.set_properties(app.id, sent.user_id, sent.values)
        return Answer(200, replies.properties(sent.values, before, sent.unknown), [JSON_TYPE])
