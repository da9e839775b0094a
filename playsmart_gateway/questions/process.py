"""A question is answered by a process of its own, which is nice, bounded, and ends with its answer.

It reads one JSON object from standard input, the URL of the store and what is asked, and writes one
to standard output: the answer, or what is wrong. The store's URL is on no command line.
"""

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import msgspec

from playsmart_gateway.errors import ConfigError, GatewayError, LakeError, SinkUnavailable
from playsmart_gateway.questions import events, funnel, sums, values
from playsmart_gateway.questions.answers import Answer
from playsmart_gateway.questions.asked import Asked, Funnel, Names, Report, Values
from playsmart_gateway.questions.sources import Lake, Sources
from playsmart_gateway.stores.open import open_questions

SECONDS = 20.0
"""How long events are looked at; then what is not looked at is left out."""

KILL_SECONDS = 45.0
"""After which nobody waits for it any more."""

WAITING = 4
"""So many may wait for the one that is answered."""

NICE = 10
MEMORY_BYTES = 2_147_483_648
LAKE_MEMORY_BYTES = 6_442_450_944
"""Of addresses: what the largest question takes, and what DuckDB and pyarrow reserve unused."""


MODULE = __name__ if __name__ != "__main__" else "playsmart_gateway.questions.process"
"""Whose ``main`` is run for a question."""


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked, of the store at ``url``, and of the lake at ``lake_url`` if there is one."""

    url: str
    asked: Asked
    seconds: float = SECONDS
    lake_url: str | None = None


class Busy(GatewayError):
    """Too many ask at once."""


async def answer(question: Question, lake: Lake | None = None) -> Answer:
    """Answer it in this process.

    Raises:
        ConfigError: it makes no sense, or is of a store that cannot be asked.
        SinkUnavailable: the store cannot be read now.
        LakeError: the ``lake`` cannot be read now.
    """
    asked = question.asked
    asked.require()
    until = monotonic() + question.seconds
    async with open_questions(question.url) as reading:
        sources = Sources(reading, lake)
        if isinstance(asked, Funnel):
            return await funnel.funnel(sources, asked, until)
        if isinstance(asked, Values):
            return await values.values(sources, asked, until)
        if isinstance(asked, Names):
            return await sums.count_names(sources, asked, until)
        if not isinstance(asked, Report):
            return await funnel.comes_back(sources, asked, until)
        if asked.has_sums:
            return await sums.report(sources, asked, until)
        return await events.report(sources, asked, until)


class Desk:
    """Has one question after another answered, each by a process of its own, that of ``module``.

    It reads the store at ``url``, and the lake at ``lake_url`` if there is one.
    """

    def __init__(self, url: str, lake_url: str | None = None, module: str = MODULE) -> None:
        self._url = url
        self._lake_url = lake_url
        self._module = module
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
                question = Question(self._url, asked, lake_url=self._lake_url)
                return await self._answer(msgspec.json.encode(question))
        finally:
            self._waiting -= 1

    async def _answer(self, question: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module),
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


def bound(memory: int) -> None:
    """Let this process take no more: its gateway is on the same machine."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(answered: Callable[[Question], Coroutine[Any, Any, Answer]] = answer) -> int:
    """Have what standard input asks ``answered``; 1, with what is wrong, if it cannot be."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    question: Any = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    bound(MEMORY_BYTES if question.lake_url is None else LAKE_MEMORY_BYTES)
    try:
        found = msgspec.json.encode(asyncio.run(answered(question)))
    except (ConfigError, SinkUnavailable, LakeError) as error:
        sys.stdout.write(str(error))
        return 1
    except MemoryError:
        sys.stdout.write("it takes too much memory: ask for a shorter time")
        return 1
    sys.stdout.buffer.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
