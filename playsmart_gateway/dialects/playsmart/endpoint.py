"""PlaySmart: ``POST /ingest/events`` (contract ``playsmart.md``).

The order of the checks is that of the contract: token, allowance, media type, body, user. A batch
is accepted as a whole or not at all; who prefers it otherwise (``Prefer: handling=lenient``, RFC
7240 section 4.4) is told which events were wrong, and the others are accepted.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.types import Receive
from typing_extensions import override

from playsmart_gateway.auth.token_cache import Caller
from playsmart_gateway.dialects.playsmart.misspelt import (
    may_misspell,
    misspells,
    misspells_in_steps,
)
from playsmart_gateway.dialects.playsmart.request import Rejected, decode, decode_in_steps
from playsmart_gateway.dialects.playsmart.upload import MAX_EVENTS
from playsmart_gateway.economy.coins import Draws
from playsmart_gateway.errors import Forbidden, Malformed, Refused, TooLarge, Unauthenticated
from playsmart_gateway.events.batch import Batch, run_key, run_of
from playsmart_gateway.http.content_encoding import Inflater, is_gzip
from playsmart_gateway.http.endpoint import (
    Answer,
    Endpoint,
    Headers,
    Settle,
    Tokens,
    any_media,
    bearer_of,
)
from playsmart_gateway.http.error_body import CODES, JSON_TYPE, ONLY_JSON, Problems, Said, envelope
from playsmart_gateway.http.preferences import preference
from playsmart_gateway.http.turns import LARGE_BODY_BYTES, LongWork, Steps, at_once
from playsmart_gateway.logs import shown, token_of
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.pipeline.intake import Intake, Receipt

PATH = "/ingest/events"
UNKNOWN_GAME = "unknown_game"
MAX_BEACON_BYTES = 65_536
"""Browsers send no more; it is read before anybody is known, and counts as in flight until then."""

APPLIED = b"preference-applied", b"handling=lenient"

_ACCEPTED = b'{"success": true, "message": "accepted:%d buffered:%d"}'
_ACCEPTED_IN_PART = b'{"success": true, "message": "accepted:%d buffered:%d", "rejected": %b}'

Asked = TypeVar("Asked")


class Parts(NamedTuple):
    """What the endpoints of uploads work with; ``games`` are those that may be sent, None any."""

    intake: Intake
    tokens: Tokens
    stats: Stats
    draws: Draws
    inflater: Inflater
    allowance: Allowance | None = None
    decoding: LongWork | None = None
    games: frozenset[str] | None = None
    origins: frozenset[bytes] = frozenset()
    """From which beacons are taken."""


class Uploads(Endpoint[Caller, Asked]):
    """What is the same for all endpoints that a player sends an upload to."""

    def __init__(self, parts: Parts) -> None:
        stats, room = parts.stats, parts.intake
        super().__init__(stats, parts.inflater, room=room, decoding=parts.decoding)
        self._intake = parts.intake
        self._tokens = parts.tokens
        self._at_once = parts.tokens.verifier.at_once
        self._trust_forwarded = parts.tokens.trust_forwarded
        self._draws = parts.draws
        self._allowance = parts.allowance
        self._games = parts.games

    def recall(self, headers: Headers) -> Caller | None:
        """See ``Endpoint``."""
        caller = self._at_once(bearer_of(headers, trust_forwarded=self._trust_forwarded))
        if caller is not None and self._allowance is not None:
            self._allowance.admit(caller.subject)
        return caller

    async def authenticate(self, headers: Headers, body: bytes) -> Caller:
        """See ``Endpoint``; a player who is ahead too far is refused before the body is read."""
        caller = await self._tokens.caller(headers)
        if self._allowance is not None:
            self._allowance.admit(caller.subject)
        return caller

    def sender(self, who: Caller) -> str:
        """See ``Endpoint``: the player."""
        return who.subject

    def refused(self, refusal: Refused, who: Caller | None, size: int) -> None:
        """See ``Endpoint``; the time that a wrong body took is charged to the player."""
        if self._allowance is None or who is None:
            return
        if isinstance(refusal, Malformed | Forbidden | TooLarge):
            self._allowance.charge(who.subject, size)

    @override
    def sound(self, refusal: Refused) -> Said:
        return envelope(refusal)

    def _require_allowed(self, who: Caller, batch: Batch) -> None:
        """Raise ``Forbidden`` for what another player sent, or of a game that is not known here."""
        if batch.user_id != who.subject:
            raise Forbidden(cause="user", told=token_of(who.subject))
        if self._games is not None and batch.game_id not in self._games:
            raise Forbidden(UNKNOWN_GAME, cause="game", told=f"game_id is {shown(batch.game_id)}")

    async def _accept(self, who: Caller, batch: Batch, sent: int, size: int) -> Receipt:
        """Take the batch of a request that ``sent`` so many events in ``size`` bytes."""
        intake = self._intake
        self._require_allowed(who, batch)
        if size > LARGE_BODY_BYTES:  # others came while it was decoded
            await intake.room_for(size, batch.count)
        self._charge(who, batch, sent, size)
        try:
            return await intake.accept(batch)
        except Refused:
            self._give_back(who, sent, size)
            raise

    def _charge(self, who: Caller, batch: Batch, sent: int, size: int) -> None:
        """Make the batch that of a player, and count it against what they may send."""
        batch.user_id = who.subject  # the same text; share one object among all batches
        if self._allowance is not None:
            self._allowance.take(who.subject, sent, size)

    def _note_spelling(self, batch: Batch, body: bytes) -> Steps[None]:
        """Count the request of a batch if it has customdata under another name."""
        if (yield from misspells_in_steps(batch.rows, body)):
            self._stats.customdata_misspelt += 1

    def _give_back(self, who: Caller, sent: int, size: int) -> None:
        if self._allowance is not None:
            self._allowance.give_back(who.subject, sent, size)


class IngestEvents(Uploads[Batch]):
    """The endpoint of ``PATH``."""

    max_events = MAX_EVENTS

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._leniently = _Leniently(parts)
        self._origins = parts.origins
        self._of_beacons = _Beacons(parts)

    @override
    async def __call__(self, headers: Headers, receive: Receive) -> Answer | None:
        if self._origins and headers.get(b"origin") in self._origins and _is_beacon(headers):
            return await self._of_beacons(headers, receive)
        return await super().__call__(headers, receive)

    @override
    def preferred(self, headers: Headers) -> Endpoint[Any, Any] | None:
        return self._leniently if prefers_lenient(headers) else None

    @override
    def attempt(self, headers: Headers, body: bytes, settle: Settle) -> bool:
        caller, size = None, len(body)
        if size > self._max_body_bytes or b"prefer" in headers:
            return False
        try:
            caller = self.recall(headers)
            if caller is None:
                return False
            self.require_media(headers)
            if is_gzip(headers):
                content = self._inflater.at_once(body)
                if content is None:
                    return False
                body, size = content, len(content)
            if not self._intake.has_room_for(size, MAX_EVENTS):
                return False
            batch = self.decode(caller, body)
            if key := headers.get(b"idempotency-key"):
                self.name(batch, key)
            self._require_allowed(caller, batch)
            self._enter(caller, batch, size, settle)
        except Refused as refusal:
            settle(self._refuse(refusal, caller, size))
        return True

    def _enter(self, who: Caller, batch: Batch, size: int, settle: Settle) -> None:
        """Do what ``act`` does, without waiting."""
        self._charge(who, batch, batch.count, size)

        def settled(outcome: Receipt | Refused) -> None:
            if isinstance(outcome, Refused):
                self._give_back(who, batch.count, size)
                settle(self._refuse(outcome, who, size))
            else:
                settle(_answer(outcome, batch))

        try:
            self._intake.enter(batch, settled)
        except Refused as refusal:
            settled(refusal)

    @override
    def decode(self, who: Caller, body: bytes) -> Batch:
        batch = decode(body, self._draws)
        if may_misspell(batch.rows, body) and misspells(batch.rows, body):
            self._stats.customdata_misspelt += 1
        return batch

    @override
    def decode_in_steps(self, who: Caller, body: bytes) -> Steps[Batch]:
        batch = yield from decode_in_steps(body, self._draws)
        yield from self._note_spelling(batch, body)
        return batch

    @override
    def name(self, asked: Batch, key: bytes) -> None:
        _name(asked, key)

    @override
    async def act(self, who: Caller, asked: Batch, size: int) -> Answer:
        return _answer(await self._accept(who, asked, asked.count, size), asked)


class _Beacons(Uploads[Batch]):
    """The endpoint of ``PATH`` for beacons: what a page sends as it closes.

    A browser lets it set no header without asking first, and it has no time for that: so the token
    is in the body, as ``access_token``, and is not kept.
    """

    reads_first = True
    max_events = MAX_EVENTS
    require_media = staticmethod(any_media)

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._max_body_bytes = min(MAX_BEACON_BYTES, self._max_body_bytes)

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> Caller:
        try:
            token = _decode_token(body).access_token
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Unauthenticated("missing_bearer_token", cause="missing") from None
        return await super().authenticate({b"authorization": b"Bearer " + token.encode()}, body)

    @override
    def decode(self, who: Caller, body: bytes) -> Batch:
        batch = decode(body, self._draws)
        at_once(self._note_spelling(batch, body))
        return batch

    @override
    def name(self, asked: Batch, key: bytes) -> None:
        _name(asked, key)

    @override
    async def act(self, who: Caller, asked: Batch, size: int) -> Answer:
        return _answer(await self._accept(who, asked, asked.count, size), asked)


class _Token(msgspec.Struct):
    access_token: str


_decode_token = msgspec.json.Decoder(_Token).decode


def _is_beacon(headers: Headers) -> bool:
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type == b"text/plain" and b"content-encoding" not in headers


def prefers_lenient(headers: Headers) -> bool:
    """Whether the ``Prefer`` header, which must be there, asks to judge each event by itself."""
    return preference(headers[b"prefer"], b"handling") == b"lenient"


class Sifted(NamedTuple):
    """The right events of a request, and the wrong ones."""

    batch: Batch
    rejected: list[Rejected]


class _Leniently(Uploads[Sifted]):
    """The endpoint of ``PATH`` for who prefers lenient handling."""

    max_events = MAX_EVENTS

    @override
    def decode(self, who: Caller, body: bytes) -> Sifted:
        rejected: list[Rejected] = []
        batch = decode(body, self._draws, rejected)
        at_once(self._note_spelling(batch, body))
        return Sifted(batch, rejected)

    @override
    def decode_in_steps(self, who: Caller, body: bytes) -> Steps[Sifted]:
        rejected: list[Rejected] = []
        batch = yield from decode_in_steps(body, self._draws, rejected)
        yield from self._note_spelling(batch, body)
        return Sifted(batch, rejected)

    @override
    def name(self, asked: Sifted, key: bytes) -> None:
        _name(asked.batch, key)

    @override
    async def act(self, who: Caller, asked: Sifted, size: int) -> Answer:
        batch, rejected = asked
        receipt = await self._accept(who, batch, batch.count + len(rejected), size)
        headers = [JSON_TYPE, APPLIED]
        if not rejected:
            body = _ACCEPTED % (receipt.accepted, receipt.buffered)
            return Answer(202, body, headers, batch)
        self._stats.count_rejected(Malformed.tag, len(rejected))
        told = msgspec.json.format(msgspec.json.encode(rejected), indent=0)
        body = _ACCEPTED_IN_PART % (receipt.accepted, receipt.buffered, told)
        return Answer(
            202, body, headers, batch, problems=_problems(rejected), rejected=len(rejected)
        )

    @override
    def sound(self, refusal: Refused) -> Said:
        return envelope(refusal, says_whether_to_retry=True)


def _answer(receipt: Receipt, batch: Batch) -> Answer:
    return Answer(202, _ACCEPTED % (receipt.accepted, receipt.buffered), ONLY_JSON, batch)


def _name(batch: Batch, key: bytes) -> None:
    if not batch.run:
        batch.run = run_key(run_of(key), batch.game_id, batch.user_id)


def _problems(rejected: Sequence[Rejected]) -> Problems:
    details = [detail for each in rejected for detail in each.details]
    return Problems.listed(CODES[Malformed.status], details)
