"""Who may see the pages for operators, and what a wrong secret costs."""

import asyncio
import base64
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.responses import Response

from playsmart_gateway.console.access import (
    Home,
    OperatorGate,
    is_loopback,
)
from playsmart_gateway.errors import ConfigError, NotFound, Unauthenticated
from playsmart_gateway.rate_limit import (
    WRONG_TRY_SECONDS,
    WrongTries,
)
from tests.support.commands import invoke
from tests.support.doubles import FakeClock
from tests.support.process import StartGateway
from tests.support.uploads import make_upload

TOKEN = "0123456789-operator"


class Tries(WrongTries):
    """Wrong tries that cost nothing but a note."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.paused: list[float] = []
        super().__init__(lambda door: self.counted.update([door]), pause=self._note)

    async def _note(self, seconds: float) -> None:
        self.paused.append(seconds)


def gate(token: str | None = TOKEN, *, development: bool = False, host: str = "") -> OperatorGate:
    home = Home(host or "127.0.0.1")
    return OperatorGate(token, Tries(), home=home, development=development)


async def refused(by: OperatorGate, **headers: str) -> Response:
    refusal = await by.refusal({name.replace("_", "-"): each for name, each in headers.items()})
    assert refusal is not None
    return refusal


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


async def test_beside_another_credential_the_token_has_a_place_of_its_own() -> None:
    tries = Tries()
    by = OperatorGate(TOKEN, tries)
    await by.admit(TOKEN.encode())
    for sent in (b"", b"wrong", b"\xff"):
        with pytest.raises(Unauthenticated):
            await by.admit(sent)
    assert (tries.counted, tries.paused) == ({"operator": 2}, [WRONG_TRY_SECONDS] * 2)


async def test_without_a_token_only_development_lets_anybody_in() -> None:
    with pytest.raises(NotFound):
        await gate(None).admit(b"anything")
    await gate(None, development=True).admit(b"")
    await gate(development=True).admit(b"")


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(f"anybody:{TOKEN}"), basic(f":{TOKEN}")],
)
async def test_the_token_is_believed_as_a_bearer_and_as_anybodys_password(
    authorization: str,
) -> None:
    assert await gate().refusal({"authorization": authorization}) is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        TOKEN,
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Digest {TOKEN}",
        basic(TOKEN),
        basic("anybody:"),
        basic(f"{TOKEN}:anything"),
        "Basic ====",
        "Basic é",
        "Bearer é",
        "Bearer ☃",
    ],
)
async def test_anything_else_is_asked_for_the_token(authorization: str) -> None:
    for headers in ({"authorization": authorization}, {}):
        answer = await refused(gate(), **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("authorization", ["", "Bearer ", basic("anybody:"), "Bearer None"])
async def test_without_a_token_there_is_no_page_for_anybody(authorization: str) -> None:
    assert (await refused(gate(None), authorization=authorization)).status_code == 404


# --- development mode ----------------------------------------------------------------------------

AT_HOME = ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"]
ELSEWHERE = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("", "[", "[::1", "::1", "localhost@evil.example", "evil.example/localhost", "10.0.0.1"),
    *("localhost:80:80", "localhost evil.example", "[::ffff:10.0.0.1]", "me@localhost"),
    "0.0.0.0",  # noqa: S104
]


@pytest.mark.parametrize("host", AT_HOME)
async def test_in_development_mode_this_machine_may_see_it(host: str) -> None:
    assert await gate(None, development=True).refusal({"host": host}) is None


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_a_name_that_leads_here_and_is_not_ours_gets_nothing_in_development_mode(
    host: str,
) -> None:
    """DNS rebinding: a page of evil.example whose name now leads to 127.0.0.1."""
    assert (await refused(gate(None, development=True), host=host)).status_code == 403
    assert (await refused(gate(None, development=True))).status_code == 403


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("dev.lan", "dev.lan:8000"),
        ("192.168.1.5", "192.168.1.5"),
        ("fd00::5", "[FD00:0::5]:8000"),
        ("0.0.0.0", "192.168.1.5:8000"),  # noqa: S104
        ("::", "[fd00::5]"),
    ],
)
async def test_where_it_listens_is_a_name_of_this_machine(host: str, asked: str) -> None:
    there = gate(None, development=True, host=host)
    assert await there.refusal({"host": asked}) is None
    assert await there.refusal({"host": "localhost:8000"}) is None
    assert (await refused(there, host="evil.example:8000")).status_code == 403


async def test_a_configured_token_is_asked_for_in_development_mode_too() -> None:
    by = gate(development=True)
    assert (await refused(by, host="localhost")).status_code == 401
    assert await by.refusal({"host": "localhost", "authorization": f"Bearer {TOKEN}"}) is None
    right = {"host": "evil.example", "authorization": f"Bearer {TOKEN}"}
    assert (await refused(by, **right)).status_code == 403


# --- pages of other sites ------------------------------------------------------------------------

LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FROM_ELSEWHERE = [
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "empty"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
    {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    {"sec_fetch_site": "cross-site"},
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
async def test_what_a_page_of_another_site_began_is_refused(headers: dict[str, str]) -> None:
    """A browser sends the operator's password along, and a stream takes one of eight places."""
    right = {"host": "localhost", "authorization": f"Bearer {TOKEN}"}
    assert (await refused(gate(), **right, **headers)).status_code == 403
    assert (await refused(gate(None, development=True), **right, **headers)).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:3000", "http://localhost", ""]
)
async def test_in_development_mode_a_page_of_another_origin_is_refused(origin: str) -> None:
    by = gate(None, development=True)
    assert (await refused(by, host="localhost:8000", origin=origin)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8000"},
        {**LINK, "sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
    ],
)
async def test_our_own_pages_and_links_to_them_are_answered(headers: dict[str, str]) -> None:
    by = gate(None, development=True)
    assert await by.refusal({"host": "localhost:8000", **headers}) is None


# --- where development mode listens --------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "is_home"),
    [
        *(("127.0.0.1", True), ("::1", True), ("localhost", True), ("Localhost", True)),
        *(("127.1.2.3", True), ("[::1]", True), ("0.0.0.0", False), ("::", False)),  # noqa: S104
        *(("192.168.1.5", False), ("", False), ("dev.lan", False), ("localhost.lan", False)),
    ],
)
def test_only_loopback_is_home(host: str, is_home: bool) -> None:
    assert is_loopback(host) is is_home


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "dev.lan"])  # noqa: S104
def test_development_mode_off_loopback_wants_a_flag_wherever_the_host_comes_from(
    host: str,
) -> None:
    for arguments, settings in (
        (("--host", host), {}),
        ((), {"SERVER__HOST": host}),
        (("--host", host, "--workers", "2"), {"OPERATOR__TOKEN": TOKEN}),
    ):
        result = invoke("serve", "--dev", "--port", "0", *arguments, **settings)
        assert isinstance(result.exception, ConfigError)  # which is exit code 2
        (problem,) = result.exception.problems
        assert problem.startswith("server.host: development mode")
        assert "--allow-remote" in problem


PAGES = [
    *("/inspector", "/inspector/inspector.js", "/inspector/events"),
    *("/dashboard", "/dashboard/data", "/dashboard/charts.js"),
]


def test_no_page_of_development_mode_answers_a_name_that_is_not_ours(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev", secret=None)
    for path in PAGES:
        for headers in ({"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = running.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert running.client.head(path, headers={"host": "localhost:1"}).status_code in (200, 405)
    cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    for headers in ({"host": "evil.example"}, cross, {"origin": "http://evil.example"}):
        assert "development-token" not in running.client.get("/docs", headers=headers).text
    assert "development-token" in running.client.get("/docs").text
    assert running.stop() == 0


def test_a_configured_token_closes_every_page_of_development_mode(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev", OPERATOR__TOKEN=TOKEN)
    for path in PAGES:
        assert running.client.get(path).status_code == 401
        assert running.client.head(path, auth=("me", TOKEN)).status_code in (200, 405)
    assert running.stop() == 0


def test_development_mode_that_others_reach_says_so(start_gateway: StartGateway) -> None:
    running = start_gateway("--dev", "--allow-remote", "--host", "0.0.0.0")  # noqa: S104
    assert running.client.get("/dashboard").status_code == 200
    assert running.client.get("/dashboard", headers={"host": "evil.example"}).status_code == 403
    assert running.stop() == 0
    running.told("open to every machine")


# --- wrong secrets -------------------------------------------------------------------------------


async def test_a_wrong_token_is_counted_and_waits_and_the_right_one_does_neither() -> None:
    tries = Tries()
    by = OperatorGate(TOKEN, tries)
    for wrong in (f"Bearer {TOKEN}x", basic("me:wrong")):
        await refused(by, authorization=wrong)
    assert await by.refusal({"authorization": f"Bearer {TOKEN}"}) is None
    await refused(by)  # a browser that asks for the first time has tried nothing
    await refused(by, authorization=basic("me:"))
    assert tries.counted == {"operator": 2}
    assert tries.paused == [WRONG_TRY_SECONDS] * 2


async def test_strangers_hold_so_many_answers_and_no_more_and_keep_out_nobody() -> None:
    gate_of_time = asyncio.Event()

    async def pause(_: float) -> None:
        await gate_of_time.wait()

    counted: Counter[str] = Counter()
    tries = WrongTries(lambda door: counted.update([door]), max_waiting=3, pause=pause)
    by = OperatorGate(TOKEN, tries)
    wrong = [asyncio.create_task(refused(by, authorization="Bearer wrong")) for _ in range(10)]
    assert await by.refusal({"authorization": f"Bearer {TOKEN}"}) is None
    await asyncio.sleep(0)
    assert sum(task.done() for task in wrong) == 7
    gate_of_time.set()
    assert {answer.status_code for answer in await asyncio.gather(*wrong)} == {401}
    assert counted == {"operator": 10}


async def test_wrong_secrets_are_logged_once_a_minute_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def pause(_: float) -> None:
        pass

    clock = FakeClock()
    tries = WrongTries(lambda _: None, pause=pause, clock=clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            await tries.pay("teak")
            clock.advance(1)
        await tries.pay("operator")
        clock.advance(10)
        await tries.pay("teak")
    assert [record.getMessage() for record in caplog.records] == [
        "wrong secrets for teak: 1",
        "wrong secrets for operator: 1",
        "wrong secrets for teak: 50",
    ]


def test_wrong_secrets_are_counted_by_door_and_ingest_goes_on(
    start_gateway: StartGateway,
) -> None:
    events = '[{id = "gift", kind = "fix", points = 1, requires_api_key = true}]'
    app = '[{id = "app2", secret_key = "plainsecret"}]'
    running = start_gateway(
        OPERATOR__TOKEN=TOKEN, TEAK__APPS=app, LYNES__EVENTS=events, LYNES__API_KEY="a key to try"
    )
    gift = {"eventId": "gift", "userId": "ada"}
    session = {"game_id": "app2", "user_id": "ada", "country_code": "DE"}
    with ThreadPoolExecutor(8) as pool:
        wrong = [
            pool.submit(running.client.get, "/dashboard", auth=("me", f"guess {number}"))
            for number in range(4)
        ]
        wrong += [
            pool.submit(running.client.post, "/v2/identify", json={**session, "secret_key": guess})
            for guess in ("guess", "\u00e4", "plainsecre")
        ]
        player = {"authorization": f"Bearer {running.token('ada')}"}
        for headers in ({**player, "x-api-key": "guess"}, player):
            wrong.append(pool.submit(running.client.post, "/event", json=gift, headers=headers))
        assert running.post(make_upload("ada"), sub="ada").status_code == 202
        assert running.client.get("/dashboard", auth=("me", TOKEN)).status_code == 200
        right = {**session, "secret_key": "plainsecret"}
        assert running.client.post("/v2/identify", json=right).status_code == 201
        found = [each.result().status_code for each in wrong]
    assert found == [401] * 4 + [403] * 5
    for token in ("not.a.token", running.token("ada", ttl_seconds=-5)):
        headers = {"authorization": f"Bearer {token}"}
        assert running.client.get("/v1/players/ada", headers=headers).status_code == 401
    counted = {
        name: value
        for name, value in running.metrics().items()
        if name.startswith("playsmart_auth_failures_total")
    }
    assert counted == {
        "playsmart_auth_failures_total{door=operator}": 4,
        "playsmart_auth_failures_total{door=teak}": 3,
        "playsmart_auth_failures_total{door=lynes_api_key}": 1,
        "playsmart_auth_failures_total{door=token}": 1,
    }
    assert running.stop() == 0
    assert "guess" not in running.log
