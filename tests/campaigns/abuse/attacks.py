"""The attacks: ``python -m tests.campaigns.abuse.attacks NAME --port N`` plays one and reports.

What comes out is one JSON object: the answers by status; ``wrong``, what the server may never do;
and the batches that were sent, for the ledger: of an attacker, too, what is acknowledged is stored.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from tests.support.players import (
    read_answer,
    request,
    token,
)

GAME = "com.example.game"
APP = '{id="abused",secret_key="abused-secret-of-the-campaign"}'
HANGS = 'teak1:///{% if (1..9000000000000000000) contains "x" %}y{% endif %}'
DEEP_LINKS = (
    HANGS,
    "teak1:///{{ a" + " | squish" * 200 + " }}",
    "teak1:///" + "{%case 1%}{%when " + ",".join("1" * 60) + "%}" + "{%endcase%}",
    "teak1:///" + ("{%case 1%}{%when " + ",".join("1" * 60) + "%}") * 9 + "{%endcase%}" * 9,
    "teak1:///" + "{{" * 1_000,
)
PAGE = b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
BODY_BYTES = 1_048_000
ANSWER_SECONDS = 60


@dataclass
class Scale:
    """How much: connections of each sort, pipelined requests, and for how long.

    The ``seconds`` are those of all ``turns`` together; in between the player is alone. With
    ``is_idle`` attackers get only the processor time that server and player leave, as if they had
    a machine of their own; where others are busy, too, they would never come to attack.
    """

    seconds: float = 10.0
    turns: int = 3
    parked: int = 1_000
    deaf: int = 100
    pipes: int = 50
    pipelined: int = 13_900
    endless: int = 990
    dripping: int = 32
    heavy: int = 2
    logins: int = 50
    is_idle: bool = True


SHORT = Scale(
    *(0.3, 1, 150), deaf=20, pipes=10, pipelined=3_000, endless=80, dripping=4, logins=5,
    is_idle=False,
)  # fmt: skip
"""What the suite plays; with ``server.max_connections`` at 100."""


@dataclass
class Attack:
    """One attack as it is played: where, how much, and what came of it."""

    port: int
    scale: Scale
    turn: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    batches: list[tuple[str, int, int, str]] = field(default_factory=list)

    @property
    def ends(self) -> float:
        """Loop time at which the attackers leave."""
        return self._began + self.scale.seconds

    def begin(self) -> None:
        """Start the clock."""
        self._began = asyncio.get_running_loop().time()

    def goes_on(self) -> bool:
        """Whether there is time left."""
        return asyncio.get_running_loop().time() < self.ends

    async def rest(self) -> None:
        """Stay until the end."""
        await asyncio.sleep(max(0.0, self.ends - asyncio.get_running_loop().time()))

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect; whatever the server does to the connection is counted, and no error."""
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
            yield reader, writer
        except (OSError, asyncio.IncompleteReadError):
            self.answers["hung up"] += 1
        finally:
            if writer is not None:
                writer.transport.abort()

    async def ask(
        self, content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bytes]:
        """Send one request and count its answer."""
        writer.write(content)
        async with asyncio.timeout(ANSWER_SECONDS):
            status, body = await read_answer(reader)
        self.answers[str(status)] += 1
        return status, body

    async def expect(self, status: int, content: bytes, what: str) -> None:
        """Send one request over a connection of its own that must be answered so, or not at all."""
        async with self.connection() as (reader, writer):
            got, _ = await self.ask(content, reader, writer)
            if got not in (status, 429, 503):
                self.wrong.append(f"{what}: {got}, not {status}")

    async def times(self, number: int, work: Callable[[int], Coroutine[None, None, None]]) -> None:
        """Have so many attackers do the same."""
        async with asyncio.TaskGroup() as group:
            for place in range(number):
                group.create_task(work(place))


# ---- Connections ----------------------------------------------------------------------------


async def parked(attack: Attack) -> None:
    """One answered request, one empty line, and nothing more."""

    async def park(_: int) -> None:
        async with attack.connection() as (reader, writer):
            await attack.ask(PAGE % b"/healthz", reader, writer)
            writer.write(b"\r\n")
            await attack.rest()

    await attack.times(attack.scale.parked, park)


async def deaf(attack: Attack) -> None:
    """Ask for a large page again and again, and never read."""

    async def ask(_: int) -> None:
        async with attack.connection() as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined] # what it is all about
            while attack.goes_on() and not writer.is_closing():
                if writer.transport.get_write_buffer_size() < 65_536:
                    writer.write(PAGE % b"/openapi.json")
                await asyncio.sleep(0.02)

    await attack.times(attack.scale.deaf, ask)


async def pipelined(attack: Attack) -> None:
    """Thousands of requests at once on each connection, and no answer is read."""

    async def pour(_: int) -> None:
        async with attack.connection() as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined] # what it is all about
            writer.write(PAGE % b"/healthz" * attack.scale.pipelined)
            await attack.rest()

    await attack.times(attack.scale.pipes, pour)


# ---- Bodies ---------------------------------------------------------------------------------


def _head(path: str, length: int, *more: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path.encode(), b"host: 127.0.0.1", *more]
    lines += [b"content-type: application/json", b"content-length: %d" % length]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def endless(attack: Attack) -> None:
    """Strangers whose bodies of 1 MB never end, to each dialect."""
    paths = ("/ingest/events", "/v2/identify", "/event", "/v2/analytics_events/batch")

    async def begin(place: int) -> None:
        async with attack.connection() as (reader, writer):
            writer.write(_head(paths[place % len(paths)], BODY_BYTES))
            part = b" " * 65_536
            for _ in range(BODY_BYTES // len(part)):
                writer.write(part)
                await asyncio.wait_for(writer.drain(), ANSWER_SECONDS)
                if reader.at_eof() or not attack.goes_on():
                    break
            await attack.rest()

    await attack.times(attack.scale.endless, begin)


async def dripped(attack: Attack) -> None:
    """Players whose bodies of 1 MB come in a thousand pieces, one after the other.

    At a pace, since what is taken and not stored yet is held by the buffer, up to its own limit.
    """

    async def drip(place: int) -> None:
        name, number = f"drip-{attack.turn}-{place}", 0
        while attack.goes_on():
            number += 1
            events = [_event(name, number, 0, "x" * (BODY_BYTES - 1_000))]
            content = _upload(name, events)
            outcome = "unknown"
            async with attack.connection() as (reader, writer):
                for start in range(0, len(content), 1_024):
                    writer.write(content[start : start + 1_024])
                    await asyncio.sleep(0.002)
                status, _ = await attack.ask(b"", reader, writer)
                outcome = "accepted" if status == 202 else "refused"
            attack.batches.append((name, number, 1, outcome))

    await attack.times(attack.scale.dripping, drip)


HEAVY = (
    ",".join(["[]"] * 330_000),
    ",".join(["[" * 490 + "]" * 490] * 1_000),
    ",".join(['["["]'] * 150_000),
    '"' + r"\"[" * 330_000 + '"',
    '"' + r"\ud83d" * 170_000 + '"',
    ",".join(['{"":0}'] * 140_000),
    ",".join(["1e308"] * 170_000),
    '"' + r"\u0000" * 170_000 + '"',
)


async def heavy(attack: Attack) -> None:
    """One player's token, and bodies that cost all that a body can."""
    name, numbers = f"heavy-{attack.turn}", itertools.count(1)

    async def send(place: int) -> None:
        await asyncio.sleep(place * 0.02)  # out of step
        while attack.goes_on():
            number = next(numbers)
            text = HEAVY[number % len(HEAVY)]
            event = msgspec.Raw(
                b'{"type":"AppOpen","timestamp":"2026-04-22T14:30:00Z",'
                b'"customdata":{"c":"%b","b":%d,"n":0,"p":[%b]}}'
                % (name.encode(), number, text.encode())
            )
            outcome = "unknown"
            async with attack.connection() as (reader, writer):
                status, _ = await attack.ask(_upload(name, [event]), reader, writer)
                outcome = "accepted" if status == 202 else "refused"
                if status not in (202, 429, 503):
                    attack.wrong.append(f"a valid body: {status}: {text[:20]}...")
            attack.batches.append((name, number, 1, outcome))
            await asyncio.sleep(0.05)

    await attack.times(attack.scale.heavy, send)


def _event(name: str, number: int, place: int, pad: str) -> msgspec.Raw:
    data = {"c": name, "b": number, "n": place, "p": pad}
    when = "2026-04-22T14:30:00Z"
    return msgspec.Raw(
        msgspec.json.encode({"type": "AppOpen", "timestamp": when, "customdata": data})
    )


def _upload(name: str, events: list[msgspec.Raw], *more: bytes) -> bytes:
    body = msgspec.json.encode({"user_id": name, "game_id": GAME, "events": events})
    bearer = b"authorization: Bearer %b" % token(name).encode()
    return _head("/ingest/events", len(body), bearer, *more) + body


# ---- Framing --------------------------------------------------------------------------------


async def upgrades(attack: Attack) -> None:
    """Requests that ask for another protocol; their bodies come later, and may be requests."""
    number = 0
    while attack.goes_on():
        number += 1
        for value in (b"h2c", b"websocket", b"x"):
            name = f"upgrade-{attack.turn}-{value.decode()}"
            more = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: " + value)
            content = _upload(name, [_event(name, number, 0, "")], *more)
            outcome = "unknown"
            async with attack.connection() as (reader, writer):
                status = await _in_two(attack, content, reader, writer)
                outcome = "accepted" if status == 202 else "refused"
                if status not in (202, 429, 503):
                    attack.wrong.append(f"upgrade: {value!r} is not ignored: {status}")
            attack.batches.append((name, number, 1, outcome))
            inner = request(f"smuggled-{name}", number, 1)
            attack.batches.append((f"smuggled-{name}", number, 1, "refused"))
            bearer = b"authorization: Bearer %b" % token(name).encode()
            outer = _head("/ingest/events", len(inner), bearer, *more) + inner
            async with attack.connection() as (reader, writer):
                status = await _in_two(attack, outer, reader, writer)
                if status < 400:
                    attack.wrong.append(f"a request as a body was taken: {status}")
        await asyncio.sleep(0.02)


async def _in_two(
    attack: Attack, content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> int:
    end = content.index(b"\r\n\r\n") + 4
    writer.write(content[:end])
    await asyncio.sleep(0.01)
    status, _ = await attack.ask(content[end:], reader, writer)
    return status


async def trailers(attack: Attack) -> None:
    """Credentials behind the body, or twice, and heads with two meanings."""
    number = 0
    while attack.goes_on():
        number += 1
        name = f"trailer-{attack.turn}"
        content = request(name, number, 1)
        attack.batches.append((name, number, 1, "refused"))
        head, _, body = content.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
        bearer = next(line for line in lines if line.startswith(b"authorization"))
        rest = [line for line in lines if line != bearer]
        chunked = b"\r\n".join([*rest, b"transfer-encoding: chunked"])
        for trailer in (bearer, b"x-forwarded-" + bearer):
            parts = (chunked, b"\r\n\r\n%x\r\n" % len(body), body, b"\r\n0\r\n", trailer)
            await attack.expect(401, b"".join((*parts, b"\r\n\r\n")), "a token in a trailer")
        twice = [*lines, bearer, b"content-length: %d" % len(body)]
        await attack.expect(400, b"\r\n".join(twice) + b"\r\n\r\n" + body, "two tokens")
        hosts = [*lines, b"host: other", b"content-length: %d" % len(body)]
        await attack.expect(400, b"\r\n".join(hosts) + b"\r\n\r\n" + body, "two hosts")
        await attack.expect(400, b"GET /healthz HTTP/1.1\r\n\r\n", "no host")
        await asyncio.sleep(0.02)


# ---- Work -----------------------------------------------------------------------------------


async def deep_links(attack: Attack) -> None:
    """Templates that cost what they span."""

    async def identify(place: int) -> None:
        number = 0
        while attack.goes_on():
            number += 1
            link = DEEP_LINKS[(place + number) % len(DEEP_LINKS)]
            body = (
                "game_id=abused&secret_key=abused-secret-of-the-campaign&country_code=DE"
                f"&user_id=linked&deep_link={quote(link)}"
            ).encode()
            content = b"\r\n".join(
                (
                    b"POST /v2/identify HTTP/1.1",
                    b"host: 127.0.0.1",
                    b"content-type: application/x-www-form-urlencoded",
                    b"content-length: %d\r\n\r\n" % len(body),
                )
            )
            await attack.expect(201, content + body, "identify with a deep link")
            await asyncio.sleep(0.05)

    await attack.times(attack.scale.heavy, identify)


async def logins(attack: Attack) -> None:
    """Passwords, which are slow to compare on purpose, from more addresses than can be limited."""

    async def log_in(place: int) -> None:
        body = b'{"email": "nobody-%d@example.org", "password": "correct horse"}' % place
        while attack.goes_on():
            await attack.expect(401, _head("/auth/login", len(body)) + body, "a wrong password")
            await asyncio.sleep(0.05)

    await attack.times(attack.scale.logins, log_in)


ATTACKS: dict[str, Callable[[Attack], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        *(parked, deaf, pipelined, endless, dripped, heavy, upgrades, trailers, deep_links, logins),
    )
}


async def play(name: str, port: int, scale: Scale, turn: int) -> Attack:
    """Play one attack in this process."""
    attack = Attack(port, scale, turn)
    attack.begin()
    await ATTACKS[name](attack)
    return attack


def main() -> int:
    """Play one attack and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.abuse.attacks")
    parser.add_argument("name", choices=ATTACKS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scale", type=json.loads, required=True)
    parser.add_argument("--turn", type=int, default=0, help="goes into the players' names")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    scale = Scale(**arguments.scale)
    # One that is merely nice runs on for a slice of some milliseconds when others could; and
    # beside the rest of the suite one that is as nice as can be does not even start in time.
    os.nice(19 if scale.is_idle else 5)
    if scale.is_idle and sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    attack = asyncio.run(play(arguments.name, arguments.port, scale, arguments.turn))
    found = {"answers": attack.answers, "wrong": attack.wrong, "batches": attack.batches}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
