"""The express path answers as the application would: same bytes, rows, counts and journal."""

import asyncio
import gzip
import json
import re
import time
from itertools import pairwise
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.config import Auth
from playsmart_gateway.dialects import load_config
from playsmart_gateway.http.turns import LARGE_BODY_BYTES
from tests import CASE_FILES
from tests.dialects.cases import body_of, headers_of
from tests.serve.sides import REST, Side, make_config, on_both
from tests.support.examples import examples
from tests.support.process import SECRET
from tests.support.uploads import make_event, make_upload

CASES = CASE_FILES / "playsmart"
PROJECT = CASE_FILES.parent / "lynes" / "project.toml"
TOKENS = {
    user: mint(user, secret=SECRET, ttl_seconds=86_400, now=time.time()) for user in ("ada", "bob")
}
RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"


def request(
    body: bytes,
    *headers: str,
    line: str = "POST /ingest/events HTTP/1.1",
    token: str | None = TOKENS["ada"],
    length: str | None = None,
) -> bytes:
    head = [line, "Host: localhost", f"Content-Length: {len(body) if length is None else length}"]
    if token is not None:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


def upload(user: str = "ada", *events: object, **fields: object) -> bytes:
    return json.dumps(make_upload(user, *events, **fields)).encode()


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    head = request(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    cut = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
    return head + cut % (half, body[:half], len(body) - half, body[half:])


PLAIN = request(upload())
BODIES = st.sampled_from(
    [
        upload(),
        upload("ada", *[make_event("LevelCompleted", customdata={"level": n}) for n in range(7)]),
        upload("bob"),
        upload(run=RUN, seq=4, sent_at="2026-04-22T14:30:07Z", client={"name": "x"}),
        upload(run="not one"),
        upload("ada", make_event("Nothing")),
        upload("ada", make_event(timestamp="2026-04-22T24:00:00+00:00")),
        upload("ada", make_event(customdata=None)),
        upload().replace(b"ada", b"a\\u0000da"),
        upload()[:-1],
        b"",
        b"{}",
        b"\xef\xbb\xbf" + upload(),
        b"\xff" + upload(),
        gzip.compress(upload(), mtime=0),
        gzip.compress(upload(), mtime=0)[:-3],
        gzip.compress(upload(), mtime=0) + b"x",
        gzip.compress(bytes(2 * LARGE_BODY_BYTES), mtime=0),
        upload("ada", make_event(customdata={"text": "x" * 5_000})),
    ]
)
HEADERS = [
    "Content-Type: application/json",
    "content-type: Application/JSON; charset=utf-8",
    "Content-Type: text/plain",
    "Content-Encoding: gzip",
    "Content-Encoding: br",
    "Prefer: handling=lenient",
    "Prefer: return=minimal",
    "Idempotency-Key: k-1",
    "Idempotency-Key:",
    "X-Request-ID: mine-1",
    "X-Request-ID: not sane",
    f"X-Request-ID: {'x' * 129}",
    "Expect: 100-continue",
    "Connection: close",
    "Connection: keep-alive",
    "Upgrade: h2c",
    f"X-Forwarded-Authorization: Bearer {TOKENS['bob']}",
    "Origin: https://game.example",
    f"X-Filling: {'x' * 3_000}",
]
LINES = [
    *["POST /ingest/events HTTP/1.1"] * 30,
    "POST /ingest/events HTTP/1.0",
    "POST /ingest/events?a=b HTTP/1.1",
    "POST /ingest/%65vents HTTP/1.1",
    "POST /ingest/events/ HTTP/1.1",
    "POST http://localhost/ingest/events HTTP/1.1",
    "POST /ingest/validate HTTP/1.1",
    "PUT /ingest/events HTTP/1.1",
    "GET /ingest/events HTTP/1.1",
    "GET /nowhere HTTP/1.1",
]
BAD = {
    "no token": "no.valid.token",
    "another secret's": mint("ada", secret=SECRET[::-1], ttl_seconds=86_400, now=time.time()),
    "expired": mint("ada", secret=SECRET, ttl_seconds=-1, now=time.time()),
    "to refresh": mint(
        "ada", secret=SECRET, ttl_seconds=9, now=time.time(), claims={"kind": "refresh"}
    ),
}
CAUSES = dict(zip(BAD.values(), ("malformed", "signature", "expired", "kind"), strict=True))
USERS = st.sampled_from([TOKENS["ada"]] * 9 + [TOKENS["bob"], *BAD.values(), "", None])
NOT_HTTP = ["Host: another", "Authorization: Bearer two", "Content-Length: 7", " folded: line"]


@st.composite
def requests(draw: st.DrawFn, *, broken: bool = False) -> bytes:
    """A request; one that is ``broken`` may be refused by who parses it."""
    body = draw(BODIES)
    if draw(st.integers(0, 9)) == 0:
        return chunked(body)
    lines = [*LINES, "POST /ingest/events HTTP/9.9", "CONNECT a:1 HTTP/1.1"] if broken else LINES
    among = st.sampled_from([*HEADERS, *NOT_HTTP] if broken else HEADERS)
    headers = draw(st.lists(among, max_size=3, unique_by=lambda each: each.partition(":")[0]))
    lengths = [None] * 20 + ["5", "+5", "0", "99999999", "x", "010"] if broken else [None]
    line, length = draw(st.sampled_from(lines)), draw(st.sampled_from(lengths))
    made = request(body, *headers, line=line, token=draw(USERS), length=length)
    return made + draw(st.sampled_from([b""] * 6 + ([b"\r\n", b"GET"] if broken else [b"\r\n"])))


def cut(draw: st.DrawFn, whole: bytes, *ends: int) -> list[bytes]:
    some = st.lists(st.integers(0, len(whole)), max_size=4)
    places = draw(st.one_of(st.just([]), st.just([]), some))
    edges = [0, *sorted({*places, *ends}), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges) if a < b]


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[bytes, int]]:
    """What is sent in parts, and behind each of them the rounds of the loop.

    Either one request after the other, or a pipeline. What breaks a pipeline may break it before
    or after the answer that is due, as it happens.
    """
    if draw(st.booleans()):
        sent = draw(st.lists(requests(broken=True), min_size=1, max_size=4))
        parts = [cut(draw, each) for each in sent]
    else:
        sent = draw(st.lists(requests(), min_size=2, max_size=6))
        ends = [sum(map(len, sent[: number + 1])) for number in range(len(sent) - 1)]
        parts = [cut(draw, b"".join(sent), *(ends if draw(st.booleans()) else ()))]
    rounds = st.sampled_from([0, 1, 2, REST])
    return [
        (part, draw(rounds) if number < len(some) else REST)
        for some in parts
        for number, part in enumerate(some, 1)
    ]


@examples(200)
@given(
    conversation=conversations(),
    fsync=st.sampled_from(["interval", "always"]),
    room=st.sampled_from([100, 9]),
    bytes_per_second=st.sampled_from([0, 0, 100]),
)
def test_whatever_is_sent_is_answered_counted_written_and_stored_as_without_it(
    conversation: list[tuple[bytes, int]], fsync: str, room: int, bytes_per_second: int
) -> None:
    parts, rounds = zip(*conversation, strict=True)
    ingest = {"player_bytes_per_second": bytes_per_second}
    asyncio.run(on_both(parts, rounds, fsync=fsync, room=room, ingest=ingest))


REPEATED = [
    ["Host: a", "Authorization: Bearer {token}", "Content-Length: {length}"],
    ["host: a", "content-length: {length}", "authorization: Bearer {token}", "accept: */*"],
    ["Host: a", "X-Note: ontent-Length: 5", *["Authorization: Bearer {token}"] * 2],
    ["Host: a", "X-Content-Length: {length}", "Content-Length: 99", "Authorization: Bearer x"],
    ["Host: a", "X-Authorization: Bearer {token}", "Content-Length: {length}"],
]


@st.composite
def repeated_heads(draw: st.DrawFn) -> list[bytes]:
    """Requests of one client, some of which are wrong in what is sent anew each time."""
    lines = draw(st.sampled_from(REPEATED[:2] * 2 + REPEATED))
    head = "\r\n".join(["POST /ingest/events HTTP/1.1", *lines, "", ""])
    sent = []
    for _ in range(draw(st.integers(2, 6))):
        body = draw(BODIES)
        odd = st.sampled_from(["", "a.b.c", TOKENS["ada"] + " ", TOKENS["ada"] + "\0"])
        token = draw(st.one_of(st.sampled_from([*TOKENS.values()]), odd))
        length = draw(
            st.sampled_from([str(len(body))] * 8 + ["0", "012", "+5", str(len(body) + 1)])
        )
        made = head.format(token=token, length=length).encode() + body
        sent.append(made + draw(st.sampled_from([b""] * 8 + [b"\r\n", b"POST"])))
    return sent


@examples(200)
@given(sent=repeated_heads())
def test_a_head_that_is_sent_again_and_again_is_read_as_without_it(sent: list[bytes]) -> None:
    known = [PLAIN, request(upload("bob"), token=TOKENS["bob"])]
    parts = [*known, *sent]
    asyncio.run(on_both(parts, [REST] * len(parts)))


async def test_a_known_request_within_a_body_is_a_part_of_that_body() -> None:
    outer = request(b"x" * 10, length=str(10 + len(PLAIN)))
    outcome, _ = await on_both([PLAIN, PLAIN, outer, PLAIN, PLAIN], [REST] * 5)
    assert re.findall(rb"HTTP/1.1 (\d+)", outcome.answers) == [b"202", b"202", b"400", b"202"]


async def test_a_known_request_waits_for_the_turn_of_its_connection(tmp_path: Path) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)
    async with side.app.router.lifespan_context(side.app):
        connection, wire = side.connection, side.wire
        connection.connection_made(wire)
        for _ in range(2):
            connection.data_received(PLAIN)
            await side.rest()
        connection.flow.held = True
        connection.data_received(PLAIN)
        await side.rest()
        assert wire.sent.count(b" 202 ") == 2
        connection._read_on()
        await side.rest()
        assert wire.sent.count(b" 202 ") == 3
        connection.connection_lost(None)


async def test_line_ends_behind_each_request_do_not_add_up_to_a_head(tmp_path: Path) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)
    outcome = await side.send([PLAIN, b"\r\n"] * 8, [REST] * 16)
    assert outcome.answers.count(b" 202 ") == 8
    assert side.connection._head_bytes == len(b"\r\n"), "of the last alone"


async def test_a_player_is_answered_on_it_known_or_not() -> None:
    outcome, answered = await on_both([PLAIN] * 4, [REST] * 4)
    assert [each.partition(b"\r\n")[0] for each in outcome.answers.split(b"HTTP/1.1 ")[1:]] == [
        b"202 Accepted"
    ] * 4
    assert answered == 4
    assert len(outcome.stored) == len(outcome.written) == 4


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
async def test_a_bad_token_is_refused_on_it_and_counted_once_each_time(token: str) -> None:
    outcome, answered = await on_both([request(upload(), token=token)] * 2, [REST] * 2)
    assert outcome.answers.count(b"HTTP/1.1 401 ") == 2
    assert outcome.counts["auth"] == ({} if token == BAD["expired"] else {"token": 2})
    assert outcome.counts["law"][3] == {f"unauthenticated:{CAUSES[token]}": 2}
    assert answered == 2


async def test_a_token_of_a_public_key_is_checked_by_the_application_and_then_known(
    tmp_path: Path,
) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    auth = Auth(public_key_file=str(tmp_path / "key.pem"))
    token = jwt.encode({"sub": "ada", "exp": time.time() + 86_400}, key, "EdDSA")
    outcome, answered = await on_both([request(upload(), token=token)] * 3, [REST] * 3, auth=auth)
    assert outcome.answers.count(b"accepted:1") == 3
    assert answered == 2


@pytest.mark.parametrize("place", range(1, len(PLAIN), 7))
async def test_a_request_in_two_reads_is_answered_all_the_same(place: int) -> None:
    outcome, _ = await on_both([PLAIN, PLAIN[:place], PLAIN[place:]], [REST, 1, REST])
    assert outcome.answers.count(b"accepted:1") == 2
    assert outcome.ended == ""


@pytest.mark.parametrize("fsync", ["interval", "always"])
@pytest.mark.parametrize("rounds", [0, 1])
async def test_what_comes_before_the_answer_waits_for_its_turn(fsync: str, rounds: int) -> None:
    numbered = [request(upload(), f"X-Request-ID: {number}") for number in range(12)]
    outcome, answered = await on_both([PLAIN, *numbered], [REST, *[rounds] * 11, REST], fsync=fsync)
    ids = re.findall(rb"x-request-id: (\d+)\r\n", outcome.answers)
    assert ids == [b"%d" % number for number in range(12)]
    assert answered


async def test_a_pipeline_in_one_read_is_answered_in_order() -> None:
    numbered = [request(upload(), f"X-Request-ID: {number}") for number in range(12)]
    outcome, _ = await on_both([PLAIN, b"".join(numbered)], [REST, REST])
    ids = re.findall(rb"x-request-id: (\d+)\r\n", outcome.answers)
    assert ids == [b"%d" % number for number in range(12)]


async def test_a_refusal_is_answered_on_it() -> None:
    wrong = request(upload("ada", make_event("Nothing")))
    outcome, answered = await on_both([PLAIN, wrong, PLAIN], [REST] * 3)
    assert b"HTTP/1.1 400 " in outcome.answers
    assert outcome.counts["law"][3] == {"malformed": 1}
    assert answered == 3


async def test_a_compressed_body_is_answered_on_it() -> None:
    packed = request(gzip.compress(upload()), "Content-Encoding: gzip")
    outcome, answered = await on_both([PLAIN, packed], [REST] * 2)
    assert outcome.answers.count(b"accepted:1") == 2
    assert answered == 2


async def test_a_large_body_takes_its_turn_with_the_application() -> None:
    large = request(upload("ada", make_event(customdata={"text": "x" * LARGE_BODY_BYTES})))
    outcome, answered = await on_both([PLAIN, large], [REST, REST])
    assert outcome.answers.count(b"accepted:1") == 2
    assert answered == 1


@pytest.mark.parametrize(
    "odd",
    [
        request(upload(), "Connection: close"),
        request(upload(), "Expect: 100-continue"),
        request(upload(), line="POST /ingest/events HTTP/1.0"),
        request(upload(), line="PUT /ingest/events HTTP/1.1"),
        request(b""),
        chunked(upload()),
        PLAIN[:-9],
    ],
    ids=["close", "expect", "1.0", "PUT", "empty", "chunked", "cut"],
)
async def test_what_is_odd_about_a_request_is_for_the_application(odd: bytes) -> None:
    _, answered = await on_both([PLAIN, odd], [REST, REST])
    assert answered == 1


async def test_a_body_over_the_limit_is_refused_as_ever() -> None:
    outcome, answered = await on_both([PLAIN, PLAIN], [REST] * 2, server={"max_body_bytes": 64})
    assert outcome.answers.count(b"HTTP/1.1 413 ") == 2
    assert answered == 0


async def test_while_somebody_watches_the_application_answers(tmp_path: Path) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)
    side.gateway.inspector.watched = True
    outcome = await side.send([PLAIN, PLAIN], [REST] * 2)
    assert outcome.answers.count(b"accepted:1") == 2
    assert side.asked == 0


async def test_a_bug_is_answered_500_and_logged_once_by_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("eyJ")

    monkeypatch.setattr(side.gateway.intake, "enter", fail)
    outcome = await side.send([PLAIN, PLAIN], [REST] * 2)
    assert outcome.answers.count(b"HTTP/1.1 500 ") == 2
    assert outcome.answers.count(b'"internal_error"') == 2
    told = [each for each in caplog.records if "ZeroDivisionError" in each.getMessage()]
    assert len(told) == 2
    assert "eyJ" not in caplog.text


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        (PLAIN, PLAIN),
        (PLAIN, request(upload(), "Prefer: handling=lenient")),
        (b"", chunked(upload())),
    ],
    ids=["on it", "tried on it", "by the application"],
)
async def test_whoever_is_being_answered_when_it_stops_is_answered_and_then_hung_up(
    tmp_path: Path, before: bytes, asked: bytes
) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)
    async with side.app.router.lifespan_context(side.app):
        side.connection.connection_made(side.wire)
        await side.rest()
        side.connection.data_received(before)
        await side.rest()
        side.wire.sent = b""
        side.connection.data_received(asked)
        side.connection.shutdown()
        assert side.wire.sent == b""
        await side.rest()
        assert side.wire.sent.startswith(b"HTTP/1.1 202 ")
        assert b"connection: close\r\n" in side.wire.sent
        assert side.wire.ended == "closed"
        side.connection.connection_lost(None)


async def test_who_has_left_meanwhile_is_told_nothing_and_the_batch_is_kept(
    tmp_path: Path,
) -> None:
    side = Side(tmp_path, make_config(tmp_path), express=True)
    async with side.app.router.lifespan_context(side.app):
        side.connection.connection_made(side.wire)
        await side.rest()
        for is_there in (True, False):
            side.wire.sent = b""
            side.connection.data_received(PLAIN)
            if not is_there:
                side.wire.abort()
                side.connection.connection_lost(None)
            await side.rest()
        assert side.wire.sent == b""
        assert side.gateway.stats.accepted == 2
    assert len(side.store.batches) == 2


@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_each_case_of_the_contract_is_answered_as_without_it(path: Path) -> None:
    """Twice, as a token is known when it comes again; what is right stands in the case."""
    case = json.loads(path.read_text())
    headers = [f"{name}: {value}" for name, value in headers_of(case).items()]
    asked = request(body_of(case), *headers, token=None)
    room = int(case.get("environment", {}).get("BUFFER__MAX_EVENTS", 1_000))
    outcome, _ = asyncio.run(on_both([asked, asked], [REST, REST], room=room))
    first, second = outcome.answers.split(b"HTTP/1.1 ")[1:]
    assert first[:3] == second[:3]


async def test_habits_of_real_clients_are_answered_as_without_it() -> None:
    """All at one connection, each twice; the upgrades, which may end it, are last by name."""
    parts = []
    for path in sorted((CASE_FILES / "habits").iterdir()):
        case = json.loads(path.read_text())
        if case["path"] == "/ingest/events":
            headers = [f"{name}: {value}" for name, value in headers_of(case).items()]
            parts += [request(body_of(case), *headers, token=None)] * 2
    outcome, answered = await on_both(parts, [REST] * len(parts))
    assert len(outcome.stored) > len(parts) // 2
    assert answered > len(parts) // 3


async def test_each_case_of_what_waits_for_its_commit_is_answered_as_without_it() -> None:
    """None of it takes the express path, which must not be in its way.

    A wrong API key is left out, whose answer waits for half a second.
    """
    parts = []
    for path in sorted((CASE_FILES / "lynes").iterdir()):
        if path.stem == "api_key_wrong":
            continue
        case = json.loads(path.read_text())
        headers = [f"{name}: {value}" for name, value in headers_of(case).items()]
        line = f"POST {case.get('path', '/event')} HTTP/1.1"
        parts.append(request(body_of(case), *headers, line=line, token=None))
    tables = {"dialects": load_config(PROJECT, {}).dialects}
    outcome, answered = await on_both(parts, [REST] * len(parts), **tables)
    assert outcome.answers.count(b"HTTP/1.1 ") == len(parts)
    assert outcome.answers.count(b"HTTP/1.1 200 ") > len(parts) // 3
    assert answered == 0
