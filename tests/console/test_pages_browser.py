"""The inspector and the demo in a real browser: what a developer sees; nothing leaks out."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import wait_until
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\">",
    "<script>document.title='hacked'</script>",
    "</script><svg onload=document.title='hacked'>",
    "javascript:document.title='hacked'",
    "{{constructor.constructor('document.title=1')()}}",
    "\u202egnp.exe\u0000\ud7ff'\"`&lt;&#x3c;",
)


class Page:
    """The page in a headless browser whose every request is recorded."""

    def __init__(self, folder: Path, url: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--window-size=1280,900",
            f"--user-data-dir={folder}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(DRIVER)
        self.driver: Any = webdriver.Chrome(options=options, service=service)
        self.url = url

    def open(self, query: str = "") -> None:
        self.driver.get(f"{self.url}/inspector{query}")
        self.until("return document.getElementById('connection').dataset.state === 'live'")

    def clear(self) -> None:
        """Begin with an empty page, whatever the gateway remembers."""
        self.ask("document.getElementById('clear').click()")
        wait_until(lambda: not self.rows() or None)

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str) -> Any:
        """Wait until a script finds something true, and return it."""
        return wait_until(lambda: self.ask(script) or None)

    def rows(self) -> list[str]:
        """The texts of all rows that are shown, the newest first."""
        found: list[str] = self.ask(
            "return [...document.querySelectorAll('#requests > li:not([hidden]) .row')]"
            ".map((row) => row.innerText)"
        )
        return found

    def row(self, text: str) -> str:
        """Wait for a row with this text."""
        return wait_until(lambda: next((row for row in self.rows() if text in row), None))

    def press(self, *keys: str) -> None:
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
                event: dict[str, Any] = {
                    "type": kind,
                    "key": key,
                    "text": text if kind == "keyDown" else "",
                }
                if key == "Enter":
                    event |= {"windowsVirtualKeyCode": 13, "code": "Enter"}
                self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)

    def focused(self) -> str:
        found: str = self.ask("return document.activeElement.innerText")
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("browsed")
    running = RunningGateway(folder, {"PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.3"}, "--dev")
    running.secret = (folder / "data" / "dev-secret").read_text("utf-8").strip()
    try:
        yield running
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.fixture(scope="module")
def browser(running: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(tmp_path_factory.mktemp("profile"), running.url)
    try:
        yield page
        assert [each for each in page.driver.get_log("browser") if each["level"] == "SEVERE"] == []
        urls = {
            message["params"]["request"]["url"]
            for entry in page.driver.get_log("performance")
            if (message := json.loads(entry["message"])["message"])["method"]
            == "Network.requestWillBeSent"
        }
        assert urls
        local = (running.url, "data:", "chrome:", "about:")
        assert {url for url in urls if not url.startswith(local)} == set()
    finally:
        page.driver.quit()


@pytest.fixture
def page(browser: Page) -> Page:
    browser.open()
    browser.clear()
    return browser


def test_a_batch_appears_at_once_and_becomes_stored_while_one_looks(
    page: Page, running: RunningGateway
) -> None:
    assert "Waiting for requests" in page.ask("return document.body.innerText")
    assert f"curl -i {running.url}/ingest/events" in page.ask("return document.body.innerText")
    running.post(make_upload("ada", make_event("LevelCompleted")), sub="ada")
    assert "ada" in page.row("LevelCompleted")
    stored = wait_until(lambda: row if "stored" in (row := page.row("LevelCompleted")) else None)
    assert "202" in stored


def test_a_refused_request_shows_its_reason_and_opens_to_its_details(
    page: Page, running: RunningGateway
) -> None:
    running.post(make_upload("ada", make_event("Teleport")), sub="ada")
    row = page.row("invalid_payload")
    assert "events.0.type must be one of" in row
    assert "refused" in row
    page.ask("document.querySelector('.row').click()")
    detail = page.ask("return document.querySelector('.detail').innerText")
    for text in ("BAD_REQUEST", "events.0.type", '"Teleport"', "POST /ingest/events"):
        assert text in detail


def test_a_repeat_shows_as_a_duplicate_and_one_taken_in_part_how_many_were_refused(
    page: Page, running: RunningGateway
) -> None:
    run = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"
    numbered = {"run": run, "seq": 7}
    for events in ([make_event()], [make_event()], [make_event(), make_event("Teleport")]):
        upload = make_upload("ada", *events) | numbered
        running.post(upload, sub="ada", headers={"prefer": "handling=lenient"})
    wait_until(lambda: sum("duplicate" in row for row in page.rows()) == 2 or None)
    in_part, again, first = page.rows()
    assert "duplicate" not in first
    assert "duplicate" in again
    assert "1 of 2 refused" in in_part
    page.ask("document.querySelector('.row').click()")
    detail = page.ask("return document.querySelector('.detail').innerText")
    for text in (run, "7 to 8", "a repeat: all of it had come before", "the other events were"):
        assert text in detail


def test_what_players_send_is_text_and_nothing_else(page: Page, running: RunningGateway) -> None:
    title = page.ask("return document.title")
    for hostile in HOSTILE:
        plain = hostile.replace("\0", "")
        event = make_event("Custom", customEventName=plain, customdata={hostile: [hostile]})
        assert running.post(make_upload(plain, event, game_id=plain), sub=plain).status_code == 202
        running.post(make_upload(hostile, make_event(hostile)), sub="ada")
        running.post(json.dumps(hostile).encode(), sub="ada")
    wait_until(lambda: len(page.rows()) == 3 * len(HOSTILE) or None)
    page.ask("for (const row of document.querySelectorAll('.row')) row.click()")
    shown = page.ask("return document.getElementById('requests').textContent")
    assert HOSTILE[0] in shown
    tags = page.ask(
        "return [...new Set([...document.querySelectorAll('#requests *')].map((e) => e.tagName))]"
    )
    assert not {"IMG", "SCRIPT", "SVG", "svg", "A", "IFRAME"} & set(tags)
    assert page.ask("return document.title") == title


def test_it_is_used_by_keyboard(page: Page, running: RunningGateway) -> None:
    for player in ("ada", "grace"):
        running.post(make_upload(player), sub=player)
        page.row(player)
    page.press("ArrowDown")
    assert "grace" in page.focused()
    page.press("ArrowDown")
    assert "ada" in page.focused()
    page.press("Enter")
    assert "Request id" in page.until("return document.querySelector('.detail')?.innerText")
    page.press("Escape", "ArrowUp")
    assert page.ask("return document.querySelector('.detail')") is None
    assert "grace" in page.focused()
    page.press("/")
    assert page.ask("return document.activeElement.id") == "player"
    page.press("a", "d", "a")
    wait_until(lambda: len(page.rows()) == 1 or None)
    assert "ada" in page.rows()[0]
    assert page.ask("return location.search") == "?player=ada"


def test_a_pause_holds_what_comes_and_shows_it_afterwards(
    page: Page, running: RunningGateway
) -> None:
    page.press("p")
    running.post(make_upload("ada"), sub="ada")
    page.until("return document.getElementById('pause').innerText.includes('1 new')")
    assert page.rows() == []
    page.press("p")
    assert page.row("ada")


def test_the_filter_holds_for_the_page_and_for_the_stream(
    page: Page, running: RunningGateway
) -> None:
    page.open("?player=greta")
    for player in ("ada", "greta", "ada", "greta"):
        running.post(make_upload(player), sub=player)
    wait_until(lambda: len(page.rows()) == 2 or None)
    assert all("greta" in row for row in page.rows())
    assert page.ask("return document.getElementById('counts').innerText").startswith("2 seen")


def test_it_fits_a_phone(page: Page, running: RunningGateway) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        data = {"long": "x" * 500}
        running.post(make_upload("p" * 200, make_event(customdata=data)), sub="p" * 200)
        page.row("pppp")
        page.ask("document.querySelector('.row').click()")
        assert page.ask("return document.documentElement.scrollWidth") <= 390
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_the_demo_each_event_is_stored_once_whatever_is_broken(
    browser: Page, running: RunningGateway
) -> None:
    browser.driver.get(f"{running.url}/demo")

    def click(*names: str) -> None:
        for name in names:
            browser.ask("document.getElementById(arguments[0]).click()", name)

    def number(name: str) -> int:
        return int(browser.ask("return document.getElementById(arguments[0]).textContent", name))

    def more(events: int) -> None:
        """Drop blocks, each of which is an event, be it that none is hit."""
        before = number("tracked")
        for _ in range(events):
            browser.press(" ")
        wait_until(lambda: number("tracked") >= before + events or None)

    def good() -> None:
        browser.until("return document.getElementById('verdict').textContent.startsWith('✓')")

    browser.until("return document.getElementById('verdict').classList.contains('good')")
    click("auto")
    wait_until(lambda: number("due") or None)
    click("auto", "offline")
    more(3)
    stored = number("stored")
    browser.until("return document.getElementById('log').textContent.includes(': 0, kept')")
    click("kill")
    browser.until("return document.getElementById('offline')?.checked === false")
    good()
    assert number("stored") >= stored + 4  # and that the page was opened
    click("twice", "lose")
    more(3)
    wait_until(lambda: number("requests") >= 4 or None)
    click("twice", "lose")
    good()
    written = browser.ask("return localStorage.getItem('playsmart-demo')")
    more(3)
    good()
    tracked = number("tracked")
    # A browser that is killed has what it had written to the disk by then.
    browser.ask("localStorage.setItem('playsmart-demo', arguments[0]); kill.click()", written)
    wait_until(lambda: number("tracked") == tracked + 1 or None)
    good()
    wait_until(lambda: number("waiting") == 0 or None)
    assert number("tracked") == number("stored")
    assert number("coins") == number("due") > 0
    assert running.law()["duplicate"] >= 3
    question = (
        "SELECT count(*), count(DISTINCT json_extract(customdata, '$.life', '$.n')) FROM events"
        " WHERE game_id = 'com.example.tower'"
    )
    assert {*running.select(question)[0]} == {number("tracked")}
    nameless = (
        "return [...document.querySelectorAll('a, button, input, canvas')].filter((each) =>"
        " !each.ariaLabel && !(each.labels?.[0] ?? each).textContent.trim()).length"
    )
    assert browser.ask(nameless) == 0
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.ask("return document.documentElement.scrollWidth") <= 390
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_reconnects_by_itself_when_the_gateway_is_back(
    browser: Page, running: RunningGateway
) -> None:
    """The last one: the gateway that comes back is another process on the same port."""
    browser.open()
    assert running.stop() == 0
    browser.until("return document.getElementById('connection').dataset.state === 'lost'")
    assert "Not connected" in browser.ask("return document.getElementById('notice').innerText")
    browser.driver.get_log(
        "browser"
    )  # that a gateway which is gone refuses is no error of the page
    again = RunningGateway(running.folder, {}, "--dev", "--port", str(running.port))
    try:
        again.secret = running.secret
        browser.until("return document.getElementById('connection').dataset.state === 'live'")
        again.post(make_upload("ada"), sub="ada")
        assert browser.row("ada")
        browser.ask("connection.abort()")
        # That a gateway which is gone cannot be reached is the only complaint.
        severe = [each for each in browser.driver.get_log("browser") if each["level"] == "SEVERE"]
        assert {each["source"] for each in severe} <= {"network"}
    finally:
        again.close()
