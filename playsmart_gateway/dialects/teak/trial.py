"""Bodies of Teak's endpoints judged, and nothing of them kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.dialects.teak.analytics import EventBatch, Rejected
from playsmart_gateway.dialects.teak.apps import App
from playsmart_gateway.dialects.teak.body import open_body
from playsmart_gateway.dialects.teak.endpoints import Sender
from playsmart_gateway.dialects.trial import Trial, trying, verdict
from playsmart_gateway.http.endpoint import Answer, Endpoint


def trials(
    apps: Mapping[str, App], endpoints: Mapping[str, Endpoint[Sender, Any]]
) -> Mapping[str, Trial]:
    """Return what judges bodies of these ``endpoints``, by path; a secret has to be right."""

    def judging(endpoint: Endpoint[Sender, Any]) -> Trial:
        def judge(body: bytes) -> Answer:
            opened = open_body(body, None)
            app = apps.get(opened.game_id)
            if app is None:
                raise replies.UnknownApp(opened.game_id)
            if not app.believes(opened.secret_key):
                raise replies.WrongSecret(app.id)
            asked = endpoint.decode(Sender(app, opened.fields(), b""), body)
            if not isinstance(asked, EventBatch):
                return verdict(min(endpoint.max_events, 1))
            rejected = _rejected(asked)
            return verdict(len(asked.outcomes) - len(rejected), rejected)

        return trying(judge, endpoint.sound)

    return {path: judging(endpoint) for path, endpoint in endpoints.items()}


def _rejected(asked: EventBatch) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "index": place,
            "retryable": False,
            "details": [
                {"path": f"events.{place}.{name}", "message": text}
                for name, texts in outcome.errors.items()
                for text in texts
            ],
        }
        for place, outcome in enumerate(asked.outcomes)
        if isinstance(outcome, Rejected)
    ]
