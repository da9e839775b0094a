"""Phones with one decision turned round: ``-m tests.campaigns.phones.broken_phones NAME``.

Each is a mistake that was found in clients people use, and each loses events or has them twice.
"""

import sys
import uuid
from http.client import HTTPConnection
from pathlib import Path

from playsmart_gateway.clients.python.adapter import main
from playsmart_gateway.clients.python.playsmart_client import Answer, Client, Segment


class _NewRunOnRetry(Client):
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        return super()._post(connection, segment._replace(run=str(uuid.uuid4())), token)


class _NumberReused(Client):
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        return super()._post(connection, segment._replace(first=0), token)


class _DeleteBeforeAnswer(Client):
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        segment.path.unlink()
        return super()._post(connection, segment, token)


class _DeleteOn401(Client):
    def _settle(
        self, segment: Segment, token: str, answer: Answer
    ) -> tuple[str, list[Path] | None]:
        if answer.status == 401:
            segment.path.unlink()
        return super()._settle(segment, token, answer)


class _DeleteOnAny200(Client):
    def _settle(
        self, segment: Segment, token: str, answer: Answer
    ) -> tuple[str, list[Path] | None]:
        if answer.status // 100 == 2:
            answer = Answer(202, {"success": True})
        return super()._settle(segment, token, answer)


PHONES: dict[str, type[Client]] = {
    "new run on retry": _NewRunOnRetry,
    "number reused": _NumberReused,
    "delete before answer": _DeleteBeforeAnswer,
    "delete on 401": _DeleteOn401,
    "delete on any 200": _DeleteOnAny200,
}

if __name__ == "__main__":
    main(PHONES[sys.argv[1]])
