"""PlaySmart: ``POST /ingest/events`` (contract ``playsmart.md``).

The order of the checks is that of the contract: token, allowance, media type, body, user. A batch
is accepted as a whole or not at all.
"""

from typing_extensions import override

from playsmart_gateway.auth.tokens import Caller
from playsmart_gateway.dialects.playsmart.request import decode, decode_in_steps
from playsmart_gateway.dialects.playsmart.upload import MAX_EVENTS
from playsmart_gateway.economy.coins import Draws
from playsmart_gateway.errors import Forbidden, Malformed, Refused
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers, Tokens, bearer_of
from playsmart_gateway.http.error_body import JSON_TYPE, Said, envelope
from playsmart_gateway.http.turns import LARGE_BODY_BYTES, Spaced, Steps
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.pipeline.intake import Intake

PATH = "/ingest/events"

_ACCEPTED = b'{"success": true, "message": "accepted:%d buffered:%d"}'


class IngestEvents(Endpoint[Caller, Batch]):
    """The endpoint of ``PATH``."""

    max_events = MAX_EVENTS

    def __init__(
        self,
        intake: Intake,
        tokens: Tokens,
        stats: Stats,
        *,
        draws: Draws,
        max_body_bytes: int,
        allowance: Allowance | None = None,
        turns: Spaced | None = None,
    ) -> None:
        super().__init__(stats, max_body_bytes, room=intake, turns=turns)
        self._intake = intake
        self._tokens = tokens
        self._recall, self._trust_forwarded = tokens.verifier.recall, tokens.trust_forwarded
        self._draws = draws
        self._allowance = allowance

    def recall(self, headers: Headers) -> Caller | None:
        """See ``Endpoint``."""
        caller = self._recall(bearer_of(headers, trust_forwarded=self._trust_forwarded))
        if caller is not None and self._allowance is not None:
            self._allowance.admit(caller.subject)
        return caller

    async def authenticate(self, headers: Headers, body: bytes) -> Caller:
        """See ``Endpoint``; a player who is ahead too far is refused before the body is read."""
        caller = await self._tokens.caller(headers)
        if self._allowance is not None:
            self._allowance.admit(caller.subject)
        return caller

    @override
    def decode(self, who: Caller, body: bytes) -> Batch:
        return decode(body, self._draws)

    def sender(self, who: Caller) -> str:
        """See ``Endpoint``: the player."""
        return who.subject

    @override
    def decode_in_steps(self, who: Caller, body: bytes) -> Steps[Batch]:
        return decode_in_steps(body, self._draws)

    @override
    async def act(self, who: Caller, asked: Batch, size: int) -> Answer:
        intake, allowance, subject = self._intake, self._allowance, who.subject
        if asked.user_id != subject:
            raise Forbidden
        if size > LARGE_BODY_BYTES:  # others came while it was decoded
            await intake.room_for(size, asked.count)
        asked.user_id = subject  # the same text; share one object among all batches
        if allowance is None:
            receipt = await intake.accept(asked)
        else:
            allowance.take(subject, asked.count, size)
            try:
                receipt = await intake.accept(asked)
            except Refused:
                allowance.give_back(subject, asked.count, size)
                raise
        return Answer(202, _ACCEPTED % (receipt.accepted, receipt.buffered), [JSON_TYPE], asked)

    def refused(self, refusal: Refused, who: Caller | None, size: int) -> None:
        """See ``Endpoint``; the time that a wrong body took is charged to the player."""
        if self._allowance is not None and isinstance(refusal, Malformed | Forbidden):
            assert who is not None, "bodies are read for those who are known"
            self._allowance.charge(who.subject, size)

    @override
    def sound(self, refusal: Refused) -> Said:
        return envelope(refusal)
