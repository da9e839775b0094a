"""A question is answered by a process of its own, which is nice, bounded, and ends with its answer.

It reads one JSON object from standard input, the URL of the store and what is asked, and writes one
to standard output: the answer, or what is wrong. The store's URL is on no command line.
"""

import asyncio
import contextlib
import os
import sys
from time import monotonic
from typing import Any

import msgspec

from playsmart_gateway.errors import ConfigError, GatewayError, SinkUnavailable
from playsmart_gateway.questions import events, funnel, sums
from playsmart_gateway.questions.answers import Answer
from playsmart_gateway.questions.asked import Asked, Funnel, Report
from playsmart_gateway.stores.open import open_questions

SECONDS = 20.0
"""How long events are looked at; then what is not looked at is left out."""

KILL_SECONDS = 45.0
"""After which nobody waits for it any more."""

WAITING = 4
"""So many may wait for the one that is answered."""

NICE = 10


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked, of the store at ``url``."""

    url: str
    asked: Asked
    seconds: float = SECONDS


class Busy(GatewayError):
    """Too many ask at once."""


async def answer(question: Question) -> Answer:
    """Answer it in this process.

    Raises:
        ConfigError: it makes no sense, or is of a store that cannot be asked.
        SinkUnavailable: the store cannot be read now.
    """
    asked = question.asked
    asked.require()
    until = monotonic() + question.seconds
    async with open_questions(question.url) as reading:
        if isinstance(asked, Funnel):
            return await funnel.funnel(reading, asked, until)
        if not isinstance(asked, Report):
            return await funnel.comes_back(reading, asked, until)
        if asked.has_sums:
            return await sums.report(reading, asked, until)
        return await events.report(reading, asked, until)


class Desk:
    """Has one question after another answered, each by a process of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, asked: Asked) -> bytes:
        """Return the answer as JSON.

        Raises:
            Busy: others have asked before.
            ConfigError: it makes no sense.
            SinkUnavailable: the store cannot be read now, or it takes too long.
        """
        asked.require()
        if self._waiting >= WAITING:
            raise Busy("others are asking; come back in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._answer(msgspec.json.encode(Question(self._url, asked)))
        finally:
            self._waiting -= 1

    async def _answer(self, question: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(KILL_SECONDS):
                told, _ = await process.communicate(question)
        except TimeoutError:
            raise SinkUnavailable("no answer in time", hint="Ask for a shorter time.") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode == 0:
            return told
        problem = told.decode() if process.returncode == 1 else "the process that looks ended"
        raise SinkUnavailable(problem or "the process that looks ended")


def main() -> int:
    """Answer what standard input asks; 1, with what is wrong, if it cannot be answered."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    question: Any = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    try:
        found = msgspec.json.encode(asyncio.run(answer(question)))
    except (ConfigError, SinkUnavailable) as error:
        sys.stdout.write(str(error))
        return 1
    sys.stdout.buffer.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
