"""The four endpoints of Teak's server API, and what they have in common.

The order is that of contract section 8: parse, game (404), secret (403), rate limit (429),
parameters (400), player (404), act. So who does not know the secret learns nothing and spends
nothing of a game's budget.

What is written can be named by an ``Idempotency-Key``, which is a run of its own (see ``batch``);
the properties of a player need none, as setting them twice sets them.
"""

import uuid
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.dialects.teak.analytics import (
    MAX_EVENTS,
    AnalyticsEvent,
    EventBatch,
    Outcome,
    Rejected,
    Unknown,
    decode_batch,
    decode_event,
    encode_rows,
    stretches,
)
from playsmart_gateway.dialects.teak.apps import App
from playsmart_gateway.dialects.teak.body import Body, open_body
from playsmart_gateway.dialects.teak.deep_links import resolve
from playsmart_gateway.dialects.teak.identify import Identify, decode_identify
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.dialects.teak.numbering import Numbering
from playsmart_gateway.dialects.teak.properties import PlayerProperties, decode_properties
from playsmart_gateway.dialects.teak.renderer import Renderer
from playsmart_gateway.errors import Refused
from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import TEAK, Batch, run_key, run_of
from playsmart_gateway.events.sessions import (
    Session,
    session_batch,
)
from playsmart_gateway.http.content_encoding import Inflater, is_gzip
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers, Settle, any_media
from playsmart_gateway.http.error_body import JSON_TYPE, Said
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.intake import Intake, Receipt
from playsmart_gateway.rate_limit import MakeLimit, WrongTries, in_process
from playsmart_gateway.stores.contract import AppPlayers
from playsmart_gateway.stores.models import AppPlayer
from playsmart_gateway.stores.readers import AppPlayerReader

DOOR = TEAK

Asked = TypeVar("Asked")


class Parts(NamedTuple):
    """What the endpoints work with."""

    apps: Mapping[str, App]
    intake: Intake
    known_players: KnownPlayers
    reader: AppPlayerReader
    players: AppPlayers
    renderer: Renderer
    stats: Stats
    inflater: Inflater
    store_client_ip: bool
    clock: Callable[[], float]
    """Wall time in seconds."""
    tries: WrongTries
    make_limit: MakeLimit = in_process


class Sender(NamedTuple):
    """An app that is believed, what it sent, the text of a JSON object, and the key of that."""

    app: App
    fields: bytes
    key: bytes


class _Endpoint(Endpoint[Sender, Asked]):
    """Answers one path, at most ``limit`` times a second and app (0: no limit)."""

    path: ClassVar[str]
    keys: ClassVar[bytes] = b""
    """What the idempotency keys of this endpoint are of (see ``run_of``)."""

    reads_first = True
    require_media = staticmethod(any_media)  # a form will do, too

    def __init__(self, parts: Parts, limit: int) -> None:
        super().__init__(parts.stats, parts.inflater, room=parts.intake)
        self._parts = parts
        self._limit = limit
        self._rate = parts.make_limit(limit, tuple(parts.apps))

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> Sender:
        opened = open_body(body, headers.get(b"content-type"))
        app = self._parts.apps.get(opened.game_id)
        if app is None:
            raise replies.UnknownApp(opened.game_id)
        if not app.believes(opened.secret_key):
            await self._parts.tries.pay(DOOR)
            raise replies.WrongSecret(app.id)
        return self._admitted(app, opened, headers)

    def _admitted(self, app: App, opened: Body, headers: Headers) -> Sender:
        """Count a request of an app that is believed, and return what it sent."""
        if not self._rate.take(app.id):
            raise replies.TooOften(self.path, self._limit)
        return Sender(app, opened.fields(), headers.get(b"idempotency-key", b""))

    @override
    def sound(self, refusal: Refused) -> Said:
        return replies.sound(refusal)

    def _run(self, who: Sender, user_id: str) -> bytes:
        """Return the run that the key of a request stands for; empty if it has none."""
        return run_key(run_of(who.key, self.keys), who.app.id, user_id) if who.key else b""

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._parts.clock(), UTC)


class _Events(_Endpoint[Asked]):
    """What is the same for one event and for many: whose they are is known before they are taken.

    Nearly always that is in memory. Then nothing is waited for but the batch, and the request may
    take the express path.
    """

    @abstractmethod
    def _users(self, asked: Asked) -> Collection[str]:
        """Return whose events these are."""

    @abstractmethod
    def _taken(self, who: Sender, asked: Asked, countries: Mapping[str, str]) -> "_Taken":
        """Return what is to be stored of known players, who are those in ``countries``."""

    @override
    async def act(self, who: Sender, asked: Asked, size: int) -> Answer:
        parts = self._parts
        countries = await parts.known_players.countries(who.app.id, self._users(asked))
        batches, answer = self._taken(who, asked, countries)
        for batch in batches:
            await parts.intake.accept(batch)
        return answer()

    @override
    def attempt(self, headers: Headers, body: bytes, settle: Settle) -> bool:
        size, parts = len(body), self._parts
        try:
            if size > self._max_body_bytes or is_gzip(headers):
                return False
            opened = open_body(body, headers.get(b"content-type"))
            app = parts.apps.get(opened.game_id)
            if app is None or not app.believes(opened.secret_key):
                return False
            if not parts.intake.has_room_for(size, self.max_events):
                return False
        except Refused:
            return False  # nothing was counted yet, so the application may say it
        who = None
        try:
            who = self._admitted(app, opened, headers)
            asked = self.decode(who, body)
            users = self._users(asked)
            countries = parts.known_players.recall(app.id, users)
            if len(countries) < len(users):
                self._rate.give_back(app.id)
                return False
            batches, answer = self._taken(who, asked, countries)
            self._enter(who, batches, answer, size, settle)
        except Refused as refusal:
            settle(self._refuse(refusal, who, size))
        return True

    def _enter(
        self,
        who: Sender,
        batches: Sequence[Batch],
        answer: Callable[[], Answer],
        size: int,
        settle: Settle,
    ) -> None:
        """Do what ``act`` does with the batch of known players, if there is one."""
        if not batches:
            settle(answer())
            return
        (batch,) = batches  # it is unknown players who part them

        def settled(outcome: Receipt | Refused) -> None:
            settle(self._refuse(outcome, who, size) if isinstance(outcome, Refused) else answer())

        self._parts.intake.enter(batch, settled)


class _Taken(NamedTuple):
    """The batches of a request, and what returns the answer when they are in the journal."""

    batches: Sequence[Batch]
    answer: Callable[[], Answer]


class AnalyticsEvents(_Events[AnalyticsEvent]):
    """``POST /v2/analytics_events``: one event of a known player."""

    path = "/v2/analytics_events"
    keys = b"teak event"
    max_events = 1

    @override
    def decode(self, who: Sender, body: bytes) -> AnalyticsEvent:
        return decode_event(who.fields)

    @override
    def _users(self, asked: AnalyticsEvent) -> Collection[str]:
        return (asked.user_id,)

    @override
    def _taken(self, who: Sender, asked: AnalyticsEvent, countries: Mapping[str, str]) -> _Taken:
        if asked.user_id not in countries:
            raise replies.UnknownPlayer
        rows = encode_rows(
            [asked],
            self._now(),
            countries.__getitem__,
            store_client_ip=self._parts.store_client_ip,
        )
        run = self._run(who, asked.user_id)
        batch = Batch(TEAK, who.app.id, asked.user_id, 1, rows, run=run)
        return _Taken([batch], lambda: Answer(200, replies.EVENT_TAKEN, [JSON_TYPE], batch))


class AnalyticsBatch(_Events[EventBatch]):
    """``POST /v2/analytics_events/batch``: up to 100 events, each taken or failed by itself.

    Where they are numbered, an event that is wrong uses its number, so it does not look lost. One
    of an unknown player does not, as it may be sent again once the player is known: so the events
    on both sides of it are batches of their own.
    """

    path = "/v2/analytics_events/batch"
    keys = b"teak batch"
    max_events = MAX_EVENTS

    @override
    def decode(self, who: Sender, body: bytes) -> EventBatch:
        return decode_batch(who.fields)

    @override
    def _users(self, asked: EventBatch) -> Collection[str]:
        return {each.user_id for each in asked.outcomes if isinstance(each, AnalyticsEvent)}

    @override
    def _taken(self, who: Sender, asked: EventBatch, countries: Mapping[str, str]) -> _Taken:
        outcomes: list[Outcome] = [
            Unknown(event.user_id, replies.NOT_FOUND)
            if isinstance(event, AnalyticsEvent) and event.user_id not in countries
            else event
            for event in asked.outcomes
        ]
        batches = list(self._batches(who, outcomes, asked.numbering, countries))

        def answer() -> Answer:
            body, problems = replies.batch(outcomes), replies.problems(outcomes)
            failed = sum(isinstance(outcome, Rejected) for outcome in outcomes)
            shown = _as_one(batches)
            return Answer(200, body, [JSON_TYPE], shown, problems=problems, rejected=failed)

        return _Taken(batches, answer)

    def _batches(
        self,
        who: Sender,
        outcomes: Sequence[Outcome],
        numbering: Numbering,
        countries: Mapping[str, str],
    ) -> Iterator[Batch]:
        """Yield what is to be stored: one batch, or a numbered one as unknown players part it."""
        run = run_key(numbering.run, who.app.id, "") if numbering.run else self._run(who, "")
        now = self._now()
        for first, stretch in stretches(outcomes) if run else [(0, outcomes)]:
            events = [event for event in stretch if isinstance(event, AnalyticsEvent)]
            if not events and not run:
                continue
            rows = encode_rows(
                events, now, countries.__getitem__, store_client_ip=self._parts.store_client_ip
            )
            batch = Batch(TEAK, who.app.id, "", len(events), rows)
            if run:
                wrong = [n for n, event in enumerate(stretch) if isinstance(event, Rejected)]
                batch.run, batch.seq = run, numbering.seq + first
                if numbering.client or wrong:
                    batch.about = About(None, numbering.client, tuple(wrong))
            yield batch


def _as_one(batches: Sequence[Batch]) -> Batch | None:
    """Return what was accepted of a request, by the name of its last batch, for who watches.

    Of several it is not said which run they are of, as not all of its numbers are theirs.
    """
    full = [batch for batch in batches if batch.count]
    if len(full) < 2:
        return full[0] if full else None
    rows = b"[%b]" % b",".join([batch.rows[1:-1] for batch in full])
    count = sum(batch.count for batch in full)
    return replace(full[-1], rows=rows, count=count, run=b"", seq=0, about=None)


class IdentifyPlayer(_Endpoint[Identify]):
    """``POST /v2/identify``: a session of a player, who is known from then on."""

    path = "/v2/identify"
    keys = b"teak identify"
    max_events = 2

    @override
    def decode(self, who: Sender, body: bytes) -> Identify:
        return decode_identify(who.fields)

    @override
    async def act(self, who: Sender, asked: Identify, size: int) -> Answer:
        parts, app = self._parts, who.app
        player = await parts.reader.app_player(app.id, asked.user_id)
        known = (
            player.country_code is not None
            or parts.known_players.country(app.id, asked.user_id) is not None
        )
        session = Session(
            app.id,
            asked.user_id,
            asked.country.upper(),
            asked.timezone_id,
            asked.email,
            installs=not known,
        )
        run = self._run(who, asked.user_id)
        session_id = str(uuid.uuid5(uuid.NAMESPACE_OID, run.hex()) if run else uuid.uuid4())
        client_ip = asked.client_ip if parts.store_client_ip and asked.client_ip else None
        batch = session_batch(session, session_id, self._now(), client_ip, run=run)
        await parts.intake.accept(batch)
        link = await self._worked_out(app, asked.deep_link, player) if asked.deep_link else None
        body = replies.session(asked.country, session_id, player.opt_out_states, link)
        return Answer(201, body, [JSON_TYPE], batch)

    async def _worked_out(self, app: App, link: str, player: AppPlayer) -> str:
        """Return where a link leads this player: a managed one is looked up and filled in."""
        template = resolve(link, app.link_domains, app.links)
        if template is None:
            return link
        return await self._parts.renderer.render(template, player.properties)

    @override
    def sound(self, refusal: Refused) -> Said:
        return replies.sound_of_identify(refusal)


class SetPlayerProperties(_Endpoint[PlayerProperties]):
    """``POST /v2/player_properties``: what a game's server knows about a player, stored at once."""

    path = "/v2/player_properties"

    @override
    def decode(self, who: Sender, body: bytes) -> PlayerProperties:
        return decode_properties(who.fields, who.app.properties)

    @override
    async def act(self, who: Sender, asked: PlayerProperties, size: int) -> Answer:
        parts, app_id = self._parts, who.app.id
        if not await parts.known_players.countries(app_id, [asked.user_id]):
            raise replies.UnknownPlayer
        before = await parts.players.set_properties(app_id, asked.user_id, asked.values)
        return Answer(200, replies.properties(asked.values, before, asked.unknown), [JSON_TYPE])


KINDS: Sequence[type[_Endpoint[Any]]] = (
    AnalyticsEvents,
    AnalyticsBatch,
    IdentifyPlayer,
    SetPlayerProperties,
)
"""All of them, in the order in which their limits are configured."""
