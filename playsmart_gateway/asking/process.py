"""Starts a process for each question, and ends it when it is late."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

import msgspec

from playsmart_gateway.asking.question import (
    LIMITS,
    MAX_SQL_LENGTH,
    Answer,
    Limits,
    Parameter,
    Question,
    refused,
    too_large,
    too_long,
)
from playsmart_gateway.errors import ConfigError

AT_ONCE = 2
WAIT_SECONDS = 10.0
"""For one of those to end."""

GRACE_SECONDS = 5.0
"""A process starts, and says by itself that time is over."""

COMMAND = (sys.executable, "-P", "-m", "playsmart_gateway.asking")


class Asker:
    """Asks the store at ``url``, or the lake that is made of it.

    Of questions that come together ``AT_ONCE`` are answered.
    """

    def __init__(
        self,
        url: str,
        limits: Limits = LIMITS,
        command: Sequence[str] = COMMAND,
        *,
        lake_url: str | None = None,
    ) -> None:
        if not url.startswith(("sqlite:///", "postgresql://")):
            raise ConfigError(["storage.url: only SQLite and PostgreSQL can be asked in SQL"])
        self.limits = limits
        self.engine = "SQLite" if url.startswith("sqlite:") else "PostgreSQL"
        self.lake_url = lake_url
        self._url = url
        self._command = command
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, sql: str, *parameters: Parameter, rows: int | None = None) -> Answer:
        """Return the answer to one SELECT: its first ``rows``, or as many as there may be."""
        return await self._ask(sql, parameters, rows, None)

    async def ask_lake(self, sql: str, *, rows: int | None = None) -> Answer:
        """Return the answer of the lake, in the same way."""
        if self.lake_url is None:
            return refused("there is no lake: lake.url is not set")
        return await self._ask(sql, (), rows, self.lake_url)

    async def _ask(
        self, sql: str, parameters: Sequence[Parameter], rows: int | None, lake_url: str | None
    ) -> Answer:
        if len(sql) > MAX_SQL_LENGTH:
            return refused(f"it is longer than {MAX_SQL_LENGTH:,} characters")
        limits = msgspec.structs.replace(self.limits, rows=min(rows or 2**31, self.limits.rows))
        question = msgspec.json.encode(Question(self._url, sql, parameters, limits, lake_url))
        try:
            await asyncio.wait_for(self._turns.acquire(), WAIT_SECONDS)
        except TimeoutError:
            return refused("others are asking: ask again in a moment")
        try:
            return await self._answer(question, limits)
        finally:
            self._turns.release()

    async def _answer(self, question: bytes, limits: Limits) -> Answer:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # what a database says of an error may quote players
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limits.seconds + GRACE_SECONDS):
                content, _ = await process.communicate(question)
            return msgspec.json.decode(content, type=Answer)
        except TimeoutError:
            return too_long(limits)
        except msgspec.DecodeError:  # it was ended on the way
            return too_large(limits)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
