"""``POST /ingest/validate``: what ``POST /ingest/events`` would say, and nothing is kept.

For who writes a client, and for its tests. It has the cost of the real thing and none of its use,
so it is for development mode, and else for who has the operator's token beside the player's.
"""

import json
from collections.abc import Mapping

from typing_extensions import override

from playsmart_gateway.auth.tokens import Caller
from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.dialects.playsmart.endpoint import Parts, Uploads
from playsmart_gateway.dialects.playsmart.request import decode, decode_in_steps
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import decode as read_rows
from playsmart_gateway.http.endpoint import Answer, Headers
from playsmart_gateway.http.error_body import JSON_TYPE
from playsmart_gateway.http.turns import Steps

PATH = "/ingest/validate"
OPERATOR_TOKEN = "X-Operator-Token"  # noqa: S105 - a name
"""A header of its own: ``Authorization`` has the token of the player."""

_OPERATOR_TOKEN = OPERATOR_TOKEN.lower().encode()


class ValidateEvents(Uploads[Batch]):
    """The endpoint of ``PATH``; ``rules`` say what each game pays, ``gate`` who may ask."""

    def __init__(self, parts: Parts, rules: Mapping[str, Rule], gate: OperatorGate) -> None:
        super().__init__(parts)
        self._rules = rules
        self._gate = gate

    @override
    def recall(self, headers: Headers) -> None:
        return None  # the operator's token comes first

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> Caller:
        await self._gate.admit(headers.get(_OPERATOR_TOKEN, b""))
        return await super().authenticate(headers, body)

    @override
    def decode(self, who: Caller, body: bytes) -> Batch:
        return decode(body)

    @override
    def decode_in_steps(self, who: Caller, body: bytes) -> Steps[Batch]:
        return decode_in_steps(body)

    @override
    async def act(self, who: Caller, asked: Batch, size: int) -> Answer:
        self._require_allowed(who, asked)
        if self._allowance is not None:
            self._allowance.take(who.subject, asked.count, size)
        data = {"valid": True, "events": asked.count, **self._coins(asked)}
        return Answer(200, json.dumps({"data": data}).encode(), [JSON_TYPE])

    def _coins(self, batch: Batch) -> dict[str, int]:
        """Return what these events alone would pay, and the most of it where chance decides."""
        rule = self._rules.get(batch.game_id, Rule(batch.game_id))
        types = [row.type for row in read_rows(batch.rows)]
        least = rule.first_awards(types, rule.min_amount)
        most = rule.first_awards(types, rule.max_amount)
        return {"coins": least} if least == most else {"coins": least, "coins_most": most}
