"""The page that explains the API: nothing from elsewhere, and it works."""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.cli.common import with_examples
from playsmart_gateway.config import Auth, Config, Journal, replaced
from playsmart_gateway.dialects.playsmart.openapi import PLAYER
from playsmart_gateway.dialects.teak.section import Teak, TeakApp
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import SECRET, RunningGateway, StartGateway

pytestmark = pytest.mark.process

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
EXAMPLE_APP = {"game_id": "your_teak_app_id", "secret_key": "your_server_secret"}
EXAMPLES = {
    "PlaySmart-ingestEvents": "202",
    "Players-showPlayer": "200",
    "Teak-identify": "201",
}
SIZES = [(1280, False), (1280, True), (390, False), (390, True)]


def token_in(page: httpx.Response) -> str | None:
    found = re.search('name="development-token" content="([^"]+)"', page.text)
    return found[1] if found else None


# --- what strangers must not get -----------------------------------------------------------------


def test_in_production_there_is_no_token_and_no_example_app(gateway: RunningGateway) -> None:
    page = gateway.client.get("/docs")
    assert page.status_code == 200
    assert "development-token" not in page.text
    assert gateway.client.post("/v2/identify", json=EXAMPLE_APP).status_code == 404
    for guess in ("token", "development-token", "..%2f__init__.py", "page.html", "__init__.py"):
        assert gateway.client.get(f"/docs/{guess}").status_code == 404


def test_with_keys_of_its_own_development_mode_gives_no_token(start_gateway: StartGateway) -> None:
    gateway = start_gateway("--dev")
    assert token_in(gateway.client.get("/docs")) is None
    assert gateway.client.post("/v2/identify", json=EXAMPLE_APP).status_code == 404


def test_development_mode_gives_nothing_to_other_machines(start_gateway: StartGateway) -> None:
    gateway = start_gateway("--dev", "--allow-remote", "--host", "0.0.0.0", secret=None)  # noqa: S104
    assert token_in(gateway.client.get("/docs")) is None
    assert gateway.client.post("/v2/identify", json=EXAMPLE_APP).status_code == 404


def test_with_apps_of_its_own_development_mode_adds_none() -> None:
    ours = replaced(Config(), Teak(apps=(TeakApp("ours", "secret"),)))
    assert with_examples(ours).of(Teak) == ours.of(Teak)
    (example,) = with_examples(Config()).of(Teak).apps
    assert (example.id, example.secret_key) == tuple(EXAMPLE_APP.values())


async def test_the_token_is_text_in_the_page_whatever_it_is() -> None:
    config = Config(auth=Auth(secret=SECRET), journal=Journal(enabled=False))
    app = create_app(config, sink=MemorySink(), development_token=lambda: '"><script>')
    async with in_process(app) as client:
        page = await client.get("/docs", headers={"host": "[::1]:8000"})
    assert token_in(page) == "&quot;&gt;&lt;script&gt;"


# --- the page without a browser ------------------------------------------------------------------


async def test_in_development_mode_the_page_has_a_token_of_the_example_player(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway("--dev", secret=None)
    page = gateway.client.get("/docs")
    assert page.headers["cache-control"] == "no-store"
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "["):
        assert token_in(gateway.client.get("/docs", headers={"host": host})) is None
    assert token_in(gateway.client.get("/docs", headers={"host": "localhost:8000"}))
    token = token_in(page)
    assert token is not None
    secret = (gateway.folder / "data" / "dev-secret").read_text("utf-8").strip()
    caller = await open_verifier(secret=secret).verify(token.encode())
    assert caller.subject == PLAYER
    gateway.told(f"{gateway.url}/docs")


def test_everything_the_page_needs_is_here(gateway: RunningGateway) -> None:
    page = gateway.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "<script>" not in page.text
    paths = re.findall(r'(?:href|src)="(?:\./)?((?:docs|shell)/[^"]+)"', page.text)
    assert len(paths) == 8
    for path in paths:
        asset = gateway.client.get(path)
        assert asset.status_code == 200
        assert "x-request-id" in asset.headers
        again = gateway.client.get(path, headers={"if-none-match": asset.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = gateway.client.head(path)
        assert (head.status_code, head.headers["etag"]) == (200, asset.headers["etag"])
    assert gateway.client.post("/docs").status_code == 405


def test_the_gateway_does_not_import_the_package_of_the_assets() -> None:
    import playsmart_gateway.openapi.page as docs

    assert docs._asset("swagger-ui-bundle.js").body
    assert "flask" not in sys.modules


# --- the page in a browser -----------------------------------------------------------------------


class Browser(NamedTuple):
    driver: webdriver.Chrome
    gateway: RunningGateway

    def open(self) -> None:
        self.driver.get(f"{self.gateway.url}/docs")
        self.wait_for("#development:not([hidden])")

    def see(self, width: int, *, dark: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.wait_for("html.dark-mode" if dark else "html:not(.dark-mode)")

    def find(self, selector: str, seconds: float) -> Any:
        """Return the first element of this kind within ``seconds``, else None."""
        deadline = time.monotonic() + seconds
        while not (found := self.driver.find_elements(By.CSS_SELECTOR, selector)):
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
        return found[0]

    def wait_for(self, selector: str) -> Any:
        found = self.find(selector, PATIENCE_SECONDS)
        assert found is not None, selector
        return found

    def click_until(self, selector: str, wanted: str) -> str:
        """Click, again if the page was busy redrawing; return the text of ``wanted``."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self.wait_for(selector)
            self.evaluate(f"document.querySelector({json.dumps(selector)})?.click()")
            if self.find(wanted, 3.0):
                return str(self.evaluate(f"document.querySelector({json.dumps(wanted)}).innerText"))
        raise AssertionError(f"clicked {selector} in vain")

    def show(self, operation: str) -> None:
        block = f"#operations-{operation}"
        self.click_until(f"{block} .opblock-summary-control", f"{block} .execute")

    def execute(self, operation: str) -> str:
        """Send what is filled in for an operation that is shown; return the status."""
        block = f"#operations-{operation}"
        answer = f"{block} .live-responses-table tr.response .response-col_status"
        return self.click_until(f"{block} .execute", answer).split()[0]

    def evaluate(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def requested(self) -> set[str]:
        """The origins of everything that was asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        urls = [
            httpx.URL(message["params"]["request"]["url"].partition(",")[0])
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {f"{url.scheme}://{url.netloc.decode()}" for url in urls if url.scheme != "data"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("there is no Chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = RunningGateway(tmp_path_factory.mktemp("docs"), {}, "--dev")
    try:
        driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
        try:
            yield Browser(driver, running)
        finally:
            driver.quit()
    finally:
        running.close()


def test_the_page_renders_in_every_size_and_colour(browser: Browser) -> None:
    browser.open()
    document = browser.gateway.client.get("/openapi.json").json()
    for width, dark in SIZES:
        browser.see(width, dark=dark)
        shown = browser.evaluate("document.querySelectorAll('.opblock').length")
        assert shown == sum(len(methods) for methods in document["paths"].values())
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(each) for each in re.findall(r"\d+", background)[:3])
        assert (0 < brightness < 200) == dark
    assert browser.log("browser") == []
    assert browser.requested() == {browser.gateway.url}


def test_the_examples_can_be_tried_as_they_are(browser: Browser) -> None:
    browser.open()
    for operation, status in EXAMPLES.items():
        browser.show(operation)
        assert browser.execute(operation) == status
    assert browser.log("browser") == []
    assert browser.requested() == {browser.gateway.url}


def test_who_registers_goes_on_as_that_player_in_what_is_open_too(browser: Browser) -> None:
    """By ``/auth/device``, which is as good twice: a click on a busy page may be repeated."""
    browser.open()
    browser.show("PlaySmart-ingestEvents")
    browser.show("Accounts-registerDevice")
    assert browser.execute("Accounts-registerDevice") == "201"
    browser.wait_for("#entered:not([hidden])")
    assert browser.execute("PlaySmart-ingestEvents") == "202"
    browser.gateway.settle()
    (newest,) = browser.gateway.select("SELECT user_id FROM events ORDER BY event_id DESC LIMIT 1")
    assert newest["user_id"] != PLAYER
    assert browser.log("browser") == []
    assert browser.requested() == {browser.gateway.url}
