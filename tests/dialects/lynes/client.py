"""A client of an app in this process, at a time of its choice."""

from pathlib import Path
from typing import Any

import httpx
import msgspec

from playsmart_gateway.auth.tokens import (
    mint,
)
from playsmart_gateway.config import Config, Journal
from playsmart_gateway.dialects import load_config
from tests.support.doubles import FakeClock
from tests.support.process import SECRET

HERE = Path(__file__).parent
PROJECT = HERE / "project.toml"
NOON = 1_776_859_200.0  # 22 April 2026, 12:00 UTC
DAY = 86_400


class Client:
    """Sends events of one user to an app that runs in this process, at a time of its choice."""

    def __init__(self, http: httpx.AsyncClient, clock: FakeClock) -> None:
        self.http = http
        self.clock = clock
        self._token = mint("app", secret=SECRET, ttl_seconds=3600, now=NOON)

    async def send(self, event_id: str, user: str = "ada", **more: Any) -> httpx.Response:
        return await self.http.post(
            "/event",
            json={"eventId": event_id, "userId": user, **more},
            headers={"authorization": f"Bearer {self._token}"},
        )

    async def ask(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers={"authorization": f"Bearer {self._token}"})

    async def get(self, path: str) -> Any:
        answer = await self.ask(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def project(**storage: str) -> Config:
    return msgspec.structs.replace(load_config(PROJECT, storage), journal=Journal(enabled=False))


PATHS = [
    "/user/ada/points", "/user/ada/history", "/user/ada/streak", "/user/ada/streak/daily_app_use",
    "/stats/event?eventId=daily_login", "/analytics/streak",
]  # fmt: skip
