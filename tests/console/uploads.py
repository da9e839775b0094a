"""What the dashboard's tests send."""

import json

from tests.support.process import RunningGateway


def post_all(running: RunningGateway, bodies: list[bytes]) -> None:
    for body in bodies:
        assert running.post(body, sub=json.loads(body)["user_id"]).status_code == 202


def body(user: str, kind: str, *, game: str = "com.example.game", **data: object) -> bytes:
    event = {"type": kind, "timestamp": "2026-04-22T14:30:00Z", "customdata": data}
    return json.dumps({"user_id": user, "game_id": game, "events": [event]}).encode()
