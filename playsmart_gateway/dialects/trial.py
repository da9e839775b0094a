"""A body judged as an endpoint would judge it, and nothing of it is kept or counted.

For who looks into what a game sends (see the inspector): no token is asked for, and nobody's budget
is spent. What only the store knows, as whether a player is known, is not judged.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from playsmart_gateway.errors import Refused
from playsmart_gateway.http.endpoint import Answer, answer_to
from playsmart_gateway.http.error_body import JSON_TYPE, Sound

Trial = Callable[[bytes], Answer]
"""Returns the answer to a body; 200 where the endpoint would take it, if in part."""


def verdict(events: int, rejected: Sequence[Any] = (), **more: object) -> Answer:
    """Return the answer to a body with so many right events; ``rejected`` are the wrong ones.

    Each is ``{"index": n, "retryable": bool, "details": [{"path", "message"}]}``.
    """
    data = {"valid": not rejected, "events": events, **more}
    if rejected:
        data["rejected"] = rejected
    return Answer(200, json.dumps({"data": data}).encode(), [JSON_TYPE])


def trying(judge: Trial, sound: Sound) -> Trial:
    """Return what answers as ``judge``, or with why it refuses, as ``sound`` puts that."""

    def answer(body: bytes) -> Answer:
        try:
            return judge(body)
        except Refused as refusal:
            return answer_to(refusal, sound)

    return answer
