"""Each kind of refusal once, by a real gateway: the same word everywhere, and no secret."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.logs import read_line
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

OPERATOR = "operator-token-4711"
PASSWORD = "sesame-password-4711"
TEAK_SECRET = "teak-secret-4711"
API_KEY = "api-key-4711-x"
MARKER = "sesame-4711"
"""In every body: what a player sent."""

ENVIRONMENT = {
    "PLAYSMART_AUTH__SECRETS": f'[{{kid = "k1", secret = "{SECRET}"}}]',
    "PLAYSMART_AUTH__ISSUER": "https://id.example",
    "PLAYSMART_AUTH__AUDIENCE": "game",
    "PLAYSMART_OPERATOR__TOKEN": OPERATOR,
    "PLAYSMART_ACCOUNTS__ENABLED": "true",
    "PLAYSMART_GAMES": '[{id = "com.example.game"}]',
    "PLAYSMART_INGEST__GAMES": "configured",
    "PLAYSMART_INGEST__PLAYER_EVENTS_PER_SECOND": "1",
    "PLAYSMART_TEAK__APPS": f'[{{id = "app", secret_key = "{TEAK_SECRET}"}}]',
    "PLAYSMART_LYNES__STRICT_USER": "true",
    "PLAYSMART_LYNES__API_KEY": API_KEY,
    "PLAYSMART_LYNES__EVENTS": '[{id = "vip", kind = "fix", points = 5, requires_api_key = true}]',
    "PLAYSMART_SERVER__REQUEST_TIMEOUT_SECONDS": "1",
    "PLAYSMART_SERVER__MAX_BODY_BYTES": "65536",
    "PLAYSMART_BUFFER__MAX_EVENTS": "256",
    "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "3600",
    "PLAYSMART_BUFFER__WAIT_FOR_ROOM_MS": "0",
    "PLAYSMART_LOG__FORMAT": "json",
}
GOOD = make_upload("ada", make_event(customdata={"note": MARKER}))
SENT: list[str] = []
"""Tokens that were made here."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(tmp_path_factory.mktemp("refusing"), ENVIRONMENT)
    try:
        yield gateway
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log
    finally:
        gateway.close()


def token(
    sub: object = "ada",
    *,
    secret: str = SECRET,
    kid: str | None = "k1",
    algorithm: str = "HS256",
    **claims: object,
) -> str:
    usual = {"iss": "https://id.example", "aud": "game"}
    made = mint(
        "ada",
        secret=secret,
        kid=kid,
        algorithm=algorithm,
        ttl_seconds=3600,
        now=time.time(),
        claims={**usual, "sub": sub, **claims},
    )
    SENT.append(made)
    return made


Ask = Callable[[httpx.Client, dict[str, str]], httpx.Response]


def ingest(
    body: object = GOOD, bearer: Callable[[], str] | str | None = token, **headers: str
) -> Ask:
    def ask(client: httpx.Client, known: dict[str, str]) -> httpx.Response:
        sent = {"content-type": "application/json", **known}
        if bearer is not None:
            credential = bearer if isinstance(bearer, str) else bearer()
            sent["authorization"] = f"Bearer {credential}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post("/ingest/events", content=content, headers=sent)

    return ask


def with_token(**how: Any) -> Ask:
    return ingest(bearer=lambda: token(**how))


def get(path: str, bearer: Callable[[], str] | None = None, **headers: str) -> Ask:
    def ask(client: httpx.Client, known: dict[str, str]) -> httpx.Response:
        sent = {**known, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if bearer is not None:
            sent["authorization"] = f"Bearer {bearer()}"
        return client.get(path, headers=sent)

    return ask


def post(path: str, body: object, bearer: Callable[[], str] | None = None) -> Ask:
    def ask(client: httpx.Client, known: dict[str, str]) -> httpx.Response:
        sent = dict(known)
        if bearer is not None:
            sent["authorization"] = f"Bearer {bearer()}"
        return client.post(path, json=body, headers=sent)

    return ask


def several(*asked: Ask) -> Ask:
    def ask(client: httpx.Client, known: dict[str, str]) -> httpx.Response:
        for each in asked[:-1]:
            each(client, {})
        return asked[-1](client, known)

    return ask


def account(device: str, email: str) -> dict[str, str]:
    return {"email": email, "password": PASSWORD, "deviceId": device}


def teak(path: str, **more: object) -> Ask:
    secret = {"game_id": "app", "secret_key": TEAK_SECRET}
    return post(path, {**secret, "user_id": MARKER, "action_type": MARKER, **more})


MANY = make_upload("eager", *[make_event()] * 200)
REFUSED: dict[str, tuple[Ask, str]] = {
    # reason: what is asked, and a part of what the operator is told beside it
    "malformed": (
        ingest({**GOOD, "events": [make_event()] * 201}),
        "must be an array of 1 to 200 events, got 201",
    ),
    "malformed:gzip": (ingest(gzip.compress(b"{}")[:-3], content_encoding="gzip"), ""),
    "malformed:query": (get("/v1/players/ada/transactions?limit=x", token), "limit must be"),
    "unauthenticated:missing": (ingest(bearer=None), ""),
    "unauthenticated:malformed": (ingest(bearer="undefined"), "no JSON Web Token"),
    "unauthenticated:algorithm": (with_token(algorithm="HS512", secret=SECRET * 2), ""),
    "unauthenticated:key": (with_token(kid="another"), ""),
    "unauthenticated:signature": (with_token(secret=SECRET[::-1]), ""),
    "unauthenticated:subject": (with_token(sub=""), "token.sub must be a string"),
    "unauthenticated:claims": (with_token(exp="soon"), "numbers of seconds"),
    "unauthenticated:kind": (with_token(kind="refresh"), "is a refresh token"),
    "unauthenticated:issuer": (with_token(iss=MARKER), "token.iss"),
    "unauthenticated:audience": (with_token(aud=MARKER), "token.aud"),
    "unauthenticated:expired": (with_token(exp=1_700_000_000), "expired at 2023-11-14T22:13:20Z"),
    "unauthenticated:not_yet_valid": (with_token(nbf=4_000_000_000), "not valid before 2096-"),
    "unauthenticated:revoked": (
        lambda client, known: post(
            "/auth/refresh", {"refresh_token": token("nobody", kind="refresh")}
        )(client, known),
        "",
    ),
    "unauthenticated:credentials": (
        post("/auth/login", {"email": f"{MARKER}@example.com", "password": PASSWORD}),
        "",
    ),
    "unauthenticated:operator": (get("/dashboard/data"), ""),
    "forbidden:user": (ingest(bearer=lambda: token("bob the=2nd")), "of bob%20the%3D2nd"),
    "forbidden:game": (ingest({**GOOD, "game_id": "com.example.other"}), "com.example.other"),
    "forbidden:secret": (teak("/v2/identify", secret_key="teak-secret-1174"), "app"),
    "forbidden:api_key": (post("/event", {"eventId": "vip", "userId": MARKER}, token), "of ada"),
    "forbidden:site": (
        get("/dashboard", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"),
        "",
    ),
    "not_found:path": (get("/ingest/event"), "/ingest/event"),
    "not_found:event": (post("/event", {"eventId": "vip2", "userId": MARKER}, token), "vip2"),
    "not_found:user": (get("/user/ada/points", token), ""),
    "not_found:streak": (get("/analytics/streak?streakId=none", token), ""),
    "unknown_app": (teak("/v2/identify", game_id="another"), "game_id is another"),
    "unknown_player": (teak("/v2/analytics_events"), ""),
    "method_not_allowed": (get("/ingest/events"), ""),
    "conflict:email": (
        several(
            post("/auth/register", account("device-1", "one@example.com")),
            post("/auth/register", account("device-2", "one@example.com")),
        ),
        "",
    ),
    "conflict:device": (
        several(
            post("/auth/register", account("device-3", "three@example.com")),
            post("/auth/register", account("device-3", "four@example.com")),
        ),
        "",
    ),
    "too_large": (ingest(b" " * 65_537), "must have at most 65,536 bytes, has 65,537"),
    "unsupported_media": (
        ingest(content_type="text/plain"),
        "content-type must be application/json",
    ),
    "unsupported_media:encoding": (ingest(content_encoding="br"), ""),
    "head_too_large": (get("/nowhere", x_padding=MARKER * 4_000), "at most 32,768 bytes"),
    "rate_limited": (
        several(*[ingest(MANY, bearer=lambda: token("eager"))] * 2),
        "at most 1 events a second of one player; again in ",
    ),
    "buffer_full": (
        ingest(make_upload("full", *[make_event()] * 200), bearer=lambda: token("full")),
        "200 of 256 events wait",
    ),
}


def told_of(gateway: RunningGateway, request_id: str) -> list[dict[str, Any]] | None:
    """The lines of a request; None as long as there is none."""
    told = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    return [each for each in told if each.get("request_id") == request_id] or None


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_has_one_word_in_log_metrics_and_inspector(
    running: RunningGateway, reason: str
) -> None:
    ask, told = REFUSED[reason]
    tag, _, cause = reason.partition(":")
    label = f"{{cause={cause},reason={tag}}}" if cause else f"{{reason={tag}}}"
    name = f"playsmart_requests_refused_total{label}"
    before = running.metrics().get(name, 0)
    answer = ask(running.client, {"x-request-id": f"asked-{reason}"})
    assert answer.status_code >= 400, answer.text
    request_id = answer.headers["x-request-id"]
    (line,) = wait_until(partial(told_of, running, request_id))
    assert (line["reason"], line["status"]) == (reason, answer.status_code)
    assert line["message"].partition(": ")[0] == "refused"
    assert told in line["message"]
    assert running.metrics()[name] >= before + 1
    shown = running.client.get(
        "/inspector/memory",
        params={"request_id": request_id},
        headers={"authorization": f"Bearer {OPERATOR}"},
    ).json()["requests"]
    assert [each["reason"] for each in shown] == [reason]


def test_what_is_no_request_is_told_too(running: RunningGateway) -> None:
    late = b"POST /ingest/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
    for sent, reason in ((b"no HTTP\r\n\r\n", "malformed:http"), (late[:20], "too_slow")):
        with running.connect() as connection:
            connection.send(sent)
            (answer,) = connection.read_to_end()
        request_id = answer.headers["x-request-id"]
        (line,) = wait_until(partial(told_of, running, request_id))
        assert line["reason"] == reason


def test_what_a_key_of_ours_has_not_signed_is_explained_to_nobody(running: RunningGateway) -> None:
    for reason in ("algorithm", "key", "signature"):
        ask, _ = REFUSED[f"unauthenticated:{reason}"]
        answer = ask(running.client, {})
        assert answer.json() == {"error": {"code": "UNAUTHORIZED", "message": "invalid_token"}}


def test_the_log_has_no_secret_token_or_payload(running: RunningGateway) -> None:
    """Runs behind the others, and asks once more where it runs alone."""
    for ask, _ in REFUSED.values():
        ask(running.client, {})
    running.client.get(f"/ingest/{token()}?token={token()}")
    wait_until(lambda: "not_found:path" in running.log or None)
    secrets = {SECRET, SECRET[::-1], OPERATOR, PASSWORD, TEAK_SECRET, "teak-secret-1174", API_KEY}
    pieces = {piece for each in SENT for piece in each.split(".")[1:]}
    for text in {*secrets, *pieces, MARKER, "@example.com"}:
        assert text not in running.log


def test_a_line_of_a_refusal_is_read_by_trace(running: RunningGateway) -> None:
    ask, _ = REFUSED["unauthenticated:expired"]
    ask(running.client, {"x-request-id": "read-again"})
    running.told("read-again")
    (found,) = [line for line in running.log.splitlines() if "read-again" in line]
    line = read_line(found)
    assert line is not None
    assert line.value("reason") == "unauthenticated:expired"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flood_of_bad_tokens_leaves_few_lines_and_their_number(
    start_gateway: StartGateway, workers: int
) -> None:
    running = start_gateway(SERVER__WORKERS=str(workers), LOG__FORMAT="json", LOG__REFUSALS="5")
    bad = mint("ada", secret=SECRET[::-1], ttl_seconds=60, now=time.time())
    headers = {"authorization": f"Bearer {bad}"}
    for _ in range(10):
        with httpx.Client(base_url=running.client.base_url) as client:  # of any worker
            for _ in range(30):
                assert client.post("/ingest/events", json=GOOD, headers=headers).status_code == 401
    name = "playsmart_requests_refused_total{cause=signature,reason=unauthenticated}"
    assert running.metrics()[name] == 300
    assert running.stop() == 0
    told = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
    of_flood = [each for each in told if each.get("reason") == "unauthenticated:signature"]
    lines = [each for each in of_flood if each["message"] == "refused"]
    rest = [each["message"] for each in of_flood if each["message"] != "refused"]
    # A minute may end meanwhile, and then each worker begins anew.
    assert len(lines) <= 5 * workers * 2
    assert len(lines) + sum(int(text.split()[1].replace(",", "")) for text in rest) == 300
