"""The page of the inspector in a browser: its memory, its filters, and what it can do."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import pytest

from tests.console.remembered import by_id, developed, recall, stored
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

pytest.importorskip("selenium.webdriver", reason="needs selenium")

from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not BROWSER or not DRIVER, reason=NO_BROWSER),
]

ROWS = "[...document.querySelectorAll('#requests > li:not([hidden]) .row')].map((r) => r.innerText)"
LIVE = "document.getElementById('connection').dataset.state === 'live'"
DETAIL = "document.querySelector('.detail').innerText"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in development mode, which has seen some requests."""
    for running in developed(tmp_path_factory.mktemp("page")):
        level = make_event("LevelCompleted", customdata={"token_count": 3, "access_token": "hush"})
        for player in ("ada", "bea"):
            headers = {"x-request-id": f"first-{player}", "idempotency-key": f"key-{player}"}
            running.post(make_upload(player, level), sub=player, headers=headers)
        running.post(make_upload("cy", make_event("Teleport")), sub="cy")
        running.client.post("/ingest/event", json={})
        stored(running, "first-bea")
        yield running


@pytest.fixture(scope="module")
def browser(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.url = gateway.url
        yield opened
        assert opened.complaints() == []
        assert opened.asked_elsewhere() == []


def look(browser: Browser, query: str = "", rows: int | None = None) -> list[str]:
    """Open the page, wait until it is live and has so many rows, and return them."""
    browser.see(1280)
    browser.open(f"/inspector{query}")
    browser.until(LIVE)
    browser.until("!document.getElementById('reasons').hidden")
    if rows is not None:
        browser.until(f"{ROWS}.length", rows)
    found: list[str] = browser.ask(ROWS)
    return found


def open_row(browser: Browser, text: str) -> None:
    browser.until(f"{ROWS}.some((row) => row.includes('{text}'))")
    browser.ask(
        "[...document.querySelectorAll('#requests > li:not([hidden]) .row')]"
        f".find((row) => row.innerText.includes('{text}')).click()"
    )


def click(browser: Browser, text: str) -> None:
    """Push the button with this text in the open request."""
    browser.ask(
        "[...document.querySelectorAll('.detail button')]"
        f".find((each) => each.textContent === '{text}').click()"
    )


def copied_of(browser: Browser, request: Mapping[str, object]) -> str:
    """Return what the page would copy of a request as curl."""
    look(browser)
    copied: str = browser.ask(f"curl({json.dumps(request)})")
    return copied


def test_a_page_that_is_loaded_again_shows_what_is_remembered(browser: Browser) -> None:
    first = look(browser, rows=4)
    assert [row for row in first if "did you mean /ingest/events?" in row]
    assert [row for row in first if "invalid_payload" in row]
    assert sum("stored" in row for row in first) == 2
    assert look(browser, rows=4) == first


def test_what_was_cleared_is_back_when_the_page_is_loaded_again(browser: Browser) -> None:
    look(browser, rows=4)
    browser.ask("document.getElementById('clear').click()")
    browser.until(f"{ROWS}.length", 0)
    browser.until(LIVE)
    look(browser, rows=4)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("?player=ada", ["ada"]),
        ("?outcome=refused", ["not_found", "invalid_payload"]),
        ("?reason=not_found%3Apath", ["not_found:path"]),
        ("?request_id=first-bea", ["bea"]),
        ("?type=Teleport", ["invalid_payload"]),
        ("?name=nothing", []),
        ("?version=9.9.9", []),
        ("?last=5&outcome=accepted", ["bea", "ada"]),
        ("?last=span&until=2020-01-01T00:00:00.000Z", []),
        ("?last=span&since=2020-01-01T00:00:00.000Z&player=bea", ["bea"]),
    ],
)
def test_filters_are_in_the_address_and_hold(
    browser: Browser, query: str, texts: list[str]
) -> None:
    rows = look(browser, query, rows=len(texts))
    for row, text in zip(rows, texts, strict=True):
        assert text in row


def test_a_reason_is_counted_and_is_a_filter_when_it_is_clicked(browser: Browser) -> None:
    look(browser, rows=4)
    reason = (
        "[...document.querySelectorAll('.reason')].find((r) => r.textContent.startsWith('not_f'))"
    )
    assert browser.ask(f"{reason}.textContent") == "not_found:path 1"
    browser.ask(f"{reason}.click()")
    browser.until(f"{ROWS}.length", 1)
    browser.until(f"{reason}.getAttribute('aria-pressed')", "true")
    assert browser.ask("location.search") == "?reason=not_found%3Apath"
    browser.ask(f"{reason}.click()")
    browser.until(f"{ROWS}.length", 4)
    assert browser.ask("location.search") == ""


def test_times_are_labelled_and_can_be_those_of_utc(browser: Browser) -> None:
    look(browser, rows=4)
    zone = "document.getElementById('zone').textContent"
    assert "local (UTC" in browser.ask(zone)
    browser.ask("document.getElementById('zone').click()")
    assert browser.ask(zone) == "Times: UTC"
    open_row(browser, "ada")
    shown = browser.ask(DETAIL)
    assert "Came, in UTC" in shown
    assert "Came, by the time here" in shown


def test_what_is_masked_is_told_and_what_a_game_counts_is_shown(browser: Browser) -> None:
    look(browser, rows=4)
    open_row(browser, "ada")
    shown = browser.ask(DETAIL)
    assert '"token_count": 3' in shown
    assert '"access_token": "••••"' in shown
    assert "hush" not in browser.ask("document.documentElement.innerHTML")
    legend = browser.ask("document.getElementById('legend').textContent")
    for text in ("access", "token_count", "JSON Web Tokens", "Remembered now, in memory"):
        assert text in legend


def test_a_request_is_copied_as_curl_without_its_token(
    browser: Browser, gateway: RunningGateway
) -> None:
    look(browser, "?player=ada", rows=1)
    browser.ask("(navigator.clipboard.writeText = async (text) => { window.copied = text; })")
    open_row(browser, "ada")
    click(browser, "Copy as curl")
    command = browser.until("window.copied")
    assert command.startswith(f"curl -i -X POST '{gateway.url}/ingest/events'")
    assert '-H "Authorization: Bearer $TOKEN"' in command
    assert "-H 'idempotency-key: key-ada'" in command
    assert gateway.token("ada")[:30] not in command
    body = command.partition("--data-binary '")[2].removesuffix("'")
    upload = json.loads(body)
    assert upload["user_id"] == "ada"
    assert upload["events"][0]["customdata"]["token_count"] == 3


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("///elsewhere.example/x", "//elsewhere.example/x"),
        ("/https://elsewhere.example/x", "https%3A//elsewhere.example/x"),
        ("/%5C%5Celsewhere.example", "%5C%5Celsewhere.example"),
        ("/[1-9]{a,b}", "%5B1-9%5D%7Ba%2Cb%7D"),
    ],
)
def test_a_request_to_an_odd_path_is_copied_as_one_to_this_gateway(
    browser: Browser, gateway: RunningGateway, path: str, target: str
) -> None:
    request = {"path": unquote(path), "method": "GET", "events": None}
    copied = copied_of(browser, request)
    assert copied == f"curl -i '{gateway.url}/{target}'"


def test_what_is_copied_has_no_keys_of_a_terminal_and_is_what_was_sent(browser: Browser) -> None:
    body = "{it's \\ \x1b[201~\x15touch x\r\x9b\u202e\x011\n}"
    copied = copied_of(browser, {"path": "/ingest/events", "method": "POST", "body": body})
    assert [each for each in copied if not each.isprintable() and each != "\n"] == []
    quoted = copied.partition("--data-binary ")[2]
    assert subprocess.check_output(["/bin/bash", "-c", f"printf %s {quoted}"]).decode() == body


def test_a_request_that_is_sent_again_is_marked_and_says_that_it_is_a_duplicate(
    browser: Browser, gateway: RunningGateway
) -> None:
    look(browser, "?player=bea", rows=1)
    open_row(browser, "bea")
    click(browser, "Send again")
    told = "document.querySelector('.told').innerText"
    browser.until(f"{told}.includes('202')")
    assert "duplicate: all of it had come before (1 event)" in browser.ask(told)
    browser.until(f"{ROWS}.some((row) => row.includes('replay') && row.includes('duplicate'))")
    of = by_id(gateway, "first-bea")["id"]
    assert any(each["replay_of"] == of for each in recall(gateway)["requests"])


def test_a_body_is_tried_and_its_wrong_events_are_named(browser: Browser) -> None:
    look(browser)
    browser.ask("document.getElementById('try').click()")
    assert browser.ask("document.getElementById('trial').open")
    verdict = "document.getElementById('verdict').innerText"

    def check(body: str) -> None:
        browser.driver.execute_script(
            "document.getElementById('verdict').replaceChildren();"
            "document.getElementById('trial-body').value = arguments[0];"
            "document.getElementById('trial-check').click()",
            body,
        )

    check(json.dumps(make_upload("ada", make_event("LevelCompleted"), make_event("Teleport"))))
    browser.until(f"{verdict}.includes('1 event right')")
    assert "Event 1" in browser.ask(verdict)
    assert "events.1.type" in browser.ask(verdict)
    check(json.dumps(make_upload("ada")))
    browser.until(f"{verdict}.startsWith('1 event right')")
    check("{")
    browser.until(f"{verdict}.includes('is not JSON')")
    browser.press("Escape")
    browser.until("!document.getElementById('trial').open")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_of_it_is_wider_than_the_screen(browser: Browser, width: int, dark: bool) -> None:
    look(browser, "?outcome=refused", rows=2)
    browser.see(width, dark=dark)
    browser.ask("(document.getElementById('more').open = true)")
    browser.ask("(document.getElementById('legend').open = true)")
    open_row(browser, "not_found")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    browser.ask("document.getElementById('try').click()")
    box = browser.ask("document.getElementById('trial').getBoundingClientRect().width")
    assert 0 < box <= width


def test_a_long_reason_covers_no_status_on_a_phone(browser: Browser) -> None:
    look(browser, "?outcome=refused", rows=2)
    browser.see(390)
    chip = "document.querySelector('.row .chip.refused')"
    browser.ask(f"({chip}.textContent = 'refused · unauthenticated:malformed')")
    status_ends = browser.ask(
        "document.querySelector('.row .status').getBoundingClientRect().right"
    )
    box = browser.ask(f"{chip}.getBoundingClientRect()")
    assert status_ends <= box["left"] < box["right"] <= 390
