"""The page in a real browser, without a screen: it draws, it asks nobody else, it is right."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import RunningGateway, StartGateway, wait_until
from tests.test_dashboard import body, post_all

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium with chromedriver"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def look(browser: WebDriver, running: RunningGateway, width: int = 1280) -> None:
    """Open the page and wait until it is drawn."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        log(browser, kind)  # of an earlier page
    browser.get(f"{running.url}/dashboard")
    wait_until(lambda: run(browser, "return document.documentElement.dataset.drawn") or None)


def log(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What the browser noted since it was asked last."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def run(browser: WebDriver, script: str) -> Any:
    return browser.execute_script(script)


def asked_elsewhere(browser: WebDriver, running: RunningGateway) -> list[str]:
    """Every URL that the page asked for and that is not the gateway's."""
    messages = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert urls
    return [url for url in urls if not url.startswith(running.url)]


def test_without_data_it_says_how_to_send_some(
    browser: WebDriver, start_gateway: StartGateway
) -> None:
    running = start_gateway("--dev")
    look(browser, running)
    assert "No data yet" in browser.find_element(By.ID, "welcome").text
    assert f"curl -i {running.url}/ingest/events" in browser.find_element(By.ID, "curl").text
    assert not browser.find_element(By.ID, "charts").is_displayed()
    assert asked_elsewhere(browser, running) == []
    assert log(browser, "browser") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_it_draws_what_is_stored(
    browser: WebDriver, start_gateway: StartGateway, width: int
) -> None:
    games = '[{id="com.example.game",coins_enabled=true,reward_fixed_amount=10}]'
    running = start_gateway("--dev", BUFFER__FLUSH_INTERVAL_SECONDS="0.01", GAMES=games)
    bodies = [
        body(f"p{n % 3}", "LevelCompleted", level=n % 5, duration_seconds=n) for n in range(9)
    ]
    bodies += [body("p0", kind) for kind in ("AppOpen", "AdImpression", "IAPPurchase")]
    post_all(running, [*bodies, body("p1", "GameEnd", level=1, reason="failed")])
    running.settle()
    look(browser, running, width)
    wait_until(
        lambda: (
            "counts all that is stored" in browser.find_element(By.TAG_NAME, "footer").text or None
        )
    )

    tables = {
        panel: run(
            browser,
            f"const t = document.querySelector('#{panel} details'); t.open = true;"
            "return [...t.querySelectorAll('tbody tr')].map("
            "  (row) => [...row.cells].map((cell) => cell.textContent))",
        )
        for panel in ("events", "players", "sessions", "funnel", "difficulty", "coins", "ads")
    }
    total = running.select("SELECT count(*) FROM events")[0][0]
    assert sum(int(cell) for row in tables["events"] for cell in row[1:]) == total == 13
    (players,) = running.select("SELECT count(DISTINCT user_id) FROM events")[0]
    assert sum(int(row[1]) for row in tables["players"]) == players == 3
    (coins,) = running.select("SELECT sum(amount) FROM coin_transactions")[0]
    assert sum(int(row[1]) for row in tables["coins"]) == coins == 90
    levels = running.select(
        "SELECT json_extract(customdata, '$.level') AS level, count(*),"
        " sum(type = 'LevelCompleted') FROM events WHERE level IS NOT NULL"
        " GROUP BY level ORDER BY level"
    )
    assert [[row[0], row[2], row[3]] for row in tables["difficulty"]] == [
        [str(cell) for cell in row] for row in levels
    ]
    law = browser.find_element(By.ID, "law").text.split("\n")
    assert law[law.index("received", 4) + 1] == str(total)

    assert run(browser, "return document.documentElement.scrollWidth") <= width, "it fits"
    assert all(svg.get_attribute("aria-label") for svg in browser.find_elements(By.TAG_NAME, "svg"))
    assert asked_elsewhere(browser, running) == []
    assert log(browser, "browser") == [], "no error, and nothing against the policy"


def test_charts_can_be_read_with_the_keyboard(
    browser: WebDriver, start_gateway: StartGateway
) -> None:
    running = start_gateway("--dev", BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    post_all(running, [body("ada", "AppOpen")])
    running.settle()
    look(browser, running)
    chart = wait_until(
        lambda: next(iter(browser.find_elements(By.CSS_SELECTOR, "#players svg")), None)
    )
    run(browser, "document.querySelector('#players svg').focus()")
    chart.send_keys(Keys.END)
    spoken = browser.find_element(By.ID, "spoken").get_attribute("textContent") or ""
    assert "new 1, back again 0" in spoken
    assert browser.find_element(By.ID, "tip").is_displayed()
    chart.send_keys(Keys.ESCAPE)
    assert not browser.find_element(By.ID, "tip").is_displayed()
