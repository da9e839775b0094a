"""``POST /ingest/validate``: what ``POST /ingest/events`` would say, and nothing is kept.

For who writes a client, and for its tests. It has the cost of the real thing and none of its use,
so it is for development mode, and else for who has the operator's token beside the player's. Who
prefers lenient handling is told which events are wrong, and of the others what they would pay.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from playsmart_gateway.auth.token_cache import Caller
from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.dialects.playsmart.endpoint import (
    APPLIED,
    Parts,
    Sifted,
    Uploads,
    prefers_lenient,
)
from playsmart_gateway.dialects.playsmart.request import Rejected, decode, decode_in_steps
from playsmart_gateway.dialects.trial import trying, verdict
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import Refused
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import decode as read_rows
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers
from playsmart_gateway.http.error_body import Said, envelope
from playsmart_gateway.http.turns import Steps

PATH = "/ingest/validate"
OPERATOR_TOKEN = "X-Operator-Token"  # noqa: S105 - a name
"""A header of its own: ``Authorization`` has the token of the player."""

_NOBODY = Caller("", 0)
_OPERATOR_TOKEN = OPERATOR_TOKEN.lower().encode()


class ValidateEvents(Uploads[Sifted]):
    """The endpoint of ``PATH``; ``rules`` say what each game pays, ``gate`` who may ask.

    A ``lenient`` one tells wrong events beside the right ones; the other has one for who prefers
    that.
    """

    def __init__(
        self, parts: Parts, rules: Mapping[str, Rule], gate: OperatorGate, *, lenient: bool = False
    ) -> None:
        super().__init__(parts)
        self._rules = rules
        self._gate = gate
        self._leniently = None if lenient else ValidateEvents(parts, rules, gate, lenient=True)

    @override
    def preferred(self, headers: Headers) -> Endpoint[Any, Any] | None:
        return self._leniently if prefers_lenient(headers) else None

    @override
    def recall(self, headers: Headers) -> None:
        return None  # the operator's token comes first

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> Caller:
        await self._gate.admit(headers.get(_OPERATOR_TOKEN, b""))
        return await super().authenticate(headers, body)

    @override
    def decode(self, who: Caller, body: bytes) -> Sifted:
        rejected: list[Rejected] = []
        return Sifted(decode(body, rejected=self._into(rejected)), rejected)

    @override
    def decode_in_steps(self, who: Caller, body: bytes) -> Steps[Sifted]:
        rejected: list[Rejected] = []
        batch = yield from decode_in_steps(body, rejected=self._into(rejected))
        return Sifted(batch, rejected)

    def _into(self, rejected: list[Rejected]) -> list[Rejected] | None:
        return rejected if self._leniently is None else None

    @override
    async def act(self, who: Caller, asked: Sifted, size: int) -> Answer:
        batch, rejected = asked
        self._require_allowed(who, batch)
        if self._allowance is not None:
            self._allowance.take(who.subject, batch.count + len(rejected), size)
        answer = self._verdict(asked)
        if self._leniently is None:
            return msgspec.structs.replace(answer, headers=[*answer.headers, APPLIED])
        return answer

    def trial(self, body: bytes) -> Answer:
        """Judge a body as if its player had sent it; see ``Trial``."""
        return trying(self._judge, self.sound)(body)

    def _judge(self, body: bytes) -> Answer:
        asked = self.decode(_NOBODY, body)
        self._require_allowed(Caller(asked.batch.user_id, 0), asked.batch)
        return self._verdict(asked)

    def _verdict(self, asked: Sifted) -> Answer:
        batch, rejected = asked
        return verdict(batch.count, msgspec.to_builtins(rejected), **self._coins(batch))

    @override
    def sound(self, refusal: Refused) -> Said:
        return envelope(refusal, says_whether_to_retry=self._leniently is None)

    def _coins(self, batch: Batch) -> dict[str, int]:
        """Return what these events alone would pay, and the most of it where chance decides."""
        rule = self._rules.get(batch.game_id, Rule(batch.game_id))
        types = [row.type for row in read_rows(batch.rows)]
        least = rule.first_awards(types, rule.min_amount)
        most = rule.first_awards(types, rule.max_amount)
        return {"coins": least} if least == most else {"coins": least, "coins_most": most}
