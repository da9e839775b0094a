"""A page of another origin in a real browser, without a screen: it sends, reads, and closes."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from playsmart_gateway.clients import CLIENTS
from tests.manual.blocks import block
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_upload

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PLAYER = "player-1"
RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"
FETCH = """
    const [url, options, done] = arguments;
    fetch(url, options).then(async (answer) => done({
        status: answer.status, text: await answer.text(),
        id: answer.headers.get("x-request-id"), applied: answer.headers.get("preference-applied"),
    }), (error) => done({error: error.name}));
"""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium with chromedriver"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Site(NamedTuple):
    """A site of games: by the names 127.0.0.1 and localhost it is two origins."""

    folder: Path
    port: int


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<!doctype html><title>A game</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(folder, server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def running(start_gateway: StartGateway, site: Site) -> RunningGateway:
    return start_gateway(CORS__ORIGINS=f'["http://127.0.0.1:{site.port}"]')


def fetch(
    browser: WebDriver, running: RunningGateway, path: str, options: object = None
) -> dict[str, Any]:
    """What a page gets: status, text and headers; or the name of the error."""
    got: dict[str, Any] = browser.execute_async_script(FETCH, running.url + path, options or {})
    return got


def request(running: RunningGateway, **more: object) -> dict[str, Any]:
    """A request of a player as ``fetch`` takes it."""
    headers = {
        "authorization": f"Bearer {running.token(PLAYER)}",
        "content-type": "application/json",
        "prefer": "handling=lenient",
    }
    body = json.dumps(make_upload(PLAYER))
    return {"method": "POST", "headers": headers, "body": body, **more}


def close_with_beacon(browser: WebDriver, running: RunningGateway, **fields: object) -> None:
    """Have the page send a beacon as it closes, and close it by going elsewhere."""
    body = json.dumps({"access_token": running.token(PLAYER), **make_upload(PLAYER), **fields})
    browser.execute_script(
        "const [url, body] = arguments;"
        "addEventListener('pagehide', () => navigator.sendBeacon(url, body));",
        f"{running.url}/ingest/events",
        body,
    )
    browser.get("about:blank")


def has_received(running: RunningGateway, events: int) -> bool | None:
    return running.law()["received"] >= events or None


def test_a_page_of_an_allowed_origin_sends_and_reads(
    browser: WebDriver, running: RunningGateway, site: Site
) -> None:
    browser.get(f"http://127.0.0.1:{site.port}/")
    sent = fetch(browser, running, "/ingest/events", request(running))
    assert (sent["status"], sent["applied"]) == (202, "handling=lenient")
    assert len(sent["id"]) == 36
    assert (
        fetch(browser, running, "/ingest/events", request(running, keepalive=True))["status"] == 202
    )
    refused = fetch(browser, running, "/ingest/events", request(running, headers={}))
    assert refused["status"] == 401
    assert json.loads(refused["text"])["error"]["message"] == "missing_bearer_token"
    for path in ("/limits", "/v1/app-settings"):
        assert "run_keep_days" in fetch(browser, running, path)["text"]
    assert fetch(browser, running, "/nothing")["status"] == 404
    assert "error" in fetch(browser, running, "/metrics")
    assert running.settle()["stored"] == 2


def test_a_page_that_closes_leaves_a_beacon_which_is_stored_once(
    browser: WebDriver, running: RunningGateway, site: Site
) -> None:
    for sent in (1, 2):  # the second is the one at the next start, as nobody got an answer
        browser.get(f"http://127.0.0.1:{site.port}/")
        close_with_beacon(browser, running, run=RUN, seq=0)
        is_here = partial(has_received, running, sent)
        wait_until(is_here)
    assert (terms := running.settle())["stored"] == 1
    assert terms["duplicate"] == 1
    assert len(running.events_after(0)) == 1


def test_our_client_has_each_event_of_a_page_stored_once_whatever_becomes_of_page_and_network(
    browser: WebDriver, running: RunningGateway, site: Site
) -> None:
    """Offline, beside another tab, closed before an answer, and with a request under way."""
    CLIENTS["typescript"].write(site.folder)
    page = block("client-typescript", "html", "<script").replace(
        "http://127.0.0.1:8000", running.url
    )
    slow = "<script>fetch = () => new Promise(() => {})</script>"
    for name, head in (("game.html", ""), ("slow.html", slow)):
        (site.folder / name).write_text(f"<!doctype html><title>A game</title>{head}{page}")
    browser.get(f"http://127.0.0.1:{site.port}/")
    token = running.token("device-abc-123")
    browser.execute_script("localStorage.setItem('token', arguments[0])", token)
    stored = 0

    def play(events: int, page: str = "game.html") -> None:
        """Open the page, which tracks an event at once, and track more."""
        nonlocal stored
        browser.get(f"http://127.0.0.1:{site.port}/{page}")
        track(events)
        stored += 1

    def track(events: int) -> None:
        nonlocal stored
        wait_until(lambda: browser.execute_script("return window.playsmart && true"))
        script = "for (let n = arguments[0]; n--;) playsmart.track('LevelCompleted', {n})"
        browser.execute_script(script, events)
        stored += events

    def arrive() -> None:
        wait_until(lambda: running.law()["stored"] >= stored or None)

    def waiting() -> int:
        """Count the files that wait in this browser."""
        script = "return Object.keys(localStorage).filter((key) => key.includes('ndjson')).length"
        count: int = browser.execute_script(script)
        return count

    def go(*, offline: bool) -> None:
        """Take this tab from the network, or let it have that again."""
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd(
            "Network.emulateNetworkConditions", {"offline": offline, **conditions}
        )

    play(2, "slow.html")
    browser.get("about:blank")  # a beacon, as nobody has answered the page yet
    arrive()
    play(1)
    browser.execute_script("playsmart.flush()")
    arrive()
    assert browser.execute_script("return playsmart.serverTime() instanceof Date")
    for offline in (True, False):
        go(offline=offline)
        track(3)
        browser.execute_script("playsmart.flush()")
    arrive()

    go(offline=True)
    track(1)
    browser.execute_async_script("playsmart.flush().then(arguments[0])")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    play(0)
    browser.execute_async_script("playsmart.flush().then(arguments[0])")
    assert waiting() == 1  # it is another tab's, which lives
    second = browser.current_window_handle
    browser.switch_to.window(first)
    browser.close()
    browser.switch_to.window(second)
    wait_until(
        lambda: (
            browser.execute_async_script("playsmart.flush().then(arguments[0])")
            and (not waiting() or None)
        )
    )

    track(60)
    browser.get("about:blank")  # with a request that outlives the page
    arrive()
    play(0)
    browser.execute_async_script("playsmart.close(30).then(arguments[0])")
    assert running.settle()["stored"] == stored
    assert len(running.events_after(0)) == stored
    assert waiting() == 0


def test_a_page_of_a_foreign_origin_sends_and_reads_nothing(
    browser: WebDriver, running: RunningGateway, site: Site
) -> None:
    browser.get(f"http://localhost:{site.port}/")
    assert "error" in fetch(browser, running, "/ingest/events", request(running))
    assert "error" in fetch(browser, running, "/limits")
    close_with_beacon(browser, running)
    refused = "playsmart_requests_refused_total{cause=missing,reason=unauthenticated}"
    wait_until(lambda: running.metrics().get(refused) or None)
    assert running.law()["received"] == 0
