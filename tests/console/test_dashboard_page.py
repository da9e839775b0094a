"""The page in a real browser, without a screen: it draws, it asks nobody else, it is right."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from playsmart_gateway.console.dashboard.routes import RANGES
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.stores.open import open_store
from tests.console.uploads import body, post_all
from tests.support.figures import wait_for_figures
from tests.support.numbered import numbered
from tests.support.polling import wait_until
from tests.support.ports import free_port
from tests.support.process import RunningGateway, StartGateway

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

CHOOSE = """
    const option = document.querySelector(`[value="${arguments[0]}"]`);
    if (option.checked) return 0;
    option.click();
    return Number(document.documentElement.dataset.drawn ?? 0);
"""
IS_DRAWN = """
    if (Number(document.documentElement.dataset.drawn ?? 0) <= arguments[0]) return false;
    if (!document.getElementById("welcome").hidden) return true;
    const charts = [...document.querySelectorAll(".plot")];
    return document.getElementById("freshness").textContent.includes("counts all that is stored")
        && charts.length > 0 && charts.every((each) => each.querySelector(".main-svg"));
"""

pytestmark = [
    pytest.mark.process,
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


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def start(start_gateway: StartGateway, port: int) -> StartGateway:
    """All at one port: what the browser has compiled of a page it keeps for the next test."""
    return partial(start_gateway, "--dev", "--port", str(port))


def look(browser: WebDriver, running: RunningGateway, width: int = 1280) -> None:
    """Open the page, and wait until all of it is drawn."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        log(browser, kind)  # of an earlier page
    browser.get(f"{running.url}/dashboard")
    choose(browser, "7d")


def choose(browser: WebDriver, wanted: str) -> None:
    """Choose a range of time, and wait until all of it is drawn."""
    before = browser.execute_script(CHOOSE, wanted)
    wait_until(lambda: browser.execute_script(IS_DRAWN, before) or None)


def log(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What the browser noted since it was asked last."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def run(browser: WebDriver, script: str) -> Any:
    return browser.execute_script(script)


def drawn(browser: WebDriver) -> dict[str, dict[str, list[float]]]:
    """What the charts show: values by panel and series, as the chart library holds them."""
    charts: dict[str, dict[str, list[float]]] = run(
        browser,
        "return Object.fromEntries([...document.querySelectorAll('section:not([hidden]) .plot')]"
        ".map((chart) => ["
        "  chart.closest('section').id,"
        "  Object.fromEntries(chart.data.map((each) => [each.name, each.y.map((n) => n ?? 0)]))]))",
    )
    return charts


def tick_labels(browser: WebDriver) -> dict[str, list[tuple[str, dict[str, float]]]]:
    """The text of each label and its box, by panel and axis."""
    labels: dict[str, list[tuple[str, dict[str, float]]]] = run(
        browser,
        "return Object.fromEntries([...document.querySelectorAll('section:not([hidden]) .plot')]"
        ".flatMap((chart) =>"
        "  ['xtick', 'ytick'].map((kind) => [`${chart.closest('section').id} ${kind}`,"
        "    [...chart.querySelectorAll(`.${kind} text`)].map("
        "      (text) => [text.textContent, text.getBoundingClientRect().toJSON()])])))",
    )
    return labels


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


def test_without_data_it_says_how_to_send_some(browser: WebDriver, start: StartGateway) -> None:
    running = start()
    look(browser, running)
    assert "No data yet" in browser.find_element(By.ID, "welcome").text
    assert f"curl -i {running.url}/ingest/events" in browser.find_element(By.ID, "curl").text
    assert not browser.find_element(By.ID, "charts").is_displayed()
    assert asked_elsewhere(browser, running) == []
    assert log(browser, "browser") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_it_draws_what_is_stored(browser: WebDriver, start: StartGateway, width: int) -> None:
    games = '[{id="com.example.game",coins_enabled=true,reward_fixed_amount=10}]'
    running = start(BUFFER__FLUSH_INTERVAL_SECONDS="0.01", GAMES=games)
    bodies = [
        body(f"p{n % 3}", "LevelCompleted", level=n % 5, duration_seconds=n) for n in range(9)
    ]
    bodies += [body("p0", kind) for kind in ("AppOpen", "AdImpression", "IAPPurchase")]
    post_all(running, [*bodies, body("p1", "GameEnd", level=1, reason="failed")])
    running.settle()
    wait_for_figures(running)
    look(browser, running, width)

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
        "SELECT json_extract(customdata, '$.level') AS level, count(*) AS attempts,"
        " sum(type = 'LevelCompleted') AS completed FROM events WHERE level IS NOT NULL"
        " GROUP BY level ORDER BY level"
    )
    assert [[row[0], row[2], row[3]] for row in tables["difficulty"]] == [
        [str(cell) for cell in row] for row in levels
    ]
    law = browser.find_element(By.ID, "law").text.split("\n")
    assert law[law.index("received", 4) + 1] == str(total)

    charts = drawn(browser)
    per_hour = [sum(values) for values in charts["events"].values()]
    assert sum(per_hour) * 2 == pytest.approx(total), "buckets of two hours"
    assert sum(map(sum, charts["players"].values())) == players
    assert sum(charts["coins"]["com.example.game"]) == coins
    assert [[*each] for each in zip(*charts["difficulty"].values(), strict=True)] == [
        [row["completed"], row["attempts"] - row["completed"]] for row in levels
    ]
    plots = browser.find_elements(By.CLASS_NAME, "plot")
    assert len(plots) == len(charts) == 9
    assert all(plot.get_attribute("role") == "img" for plot in plots)
    assert "Events per hour by type, 13 events" in (plots[0].get_attribute("aria-label") or "")
    assert asked_elsewhere(browser, running) == []
    assert log(browser, "browser") == [], "no error, and nothing against the policy"


def test_it_shows_of_each_version_how_much_never_arrived(
    browser: WebDriver, start: StartGateway, tmp_path: Path
) -> None:
    lost = [("2.1.10", 0, 10), ("2.1.9", 1, 200), ("<b>", 2, 4), ("2.1.9", 199, 200)]
    an_hour_ago = int(time.time() * 1_000_000) - 3_600_000_001

    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path}/data/playsmart.db") as store:
            for n, (version, first, end) in enumerate(lost):
                about = About(client=Program(app_version=version, platform=f"os {n % 2}"))
                batch = numbered(n + 1, first, end, run=bytes([n] * 16), about=about)
                await store.write([msgspec.structs.replace(batch, received_at=an_hour_ago)])

    (tmp_path / "data").mkdir(mode=0o700)
    asyncio.run(fill())
    running = start()
    wait_until(lambda: running.client.get("/dashboard/data").json()["figures"]["losses"] or None)
    look(browser, running, 390)
    assert drawn(browser)["losses"] == {"never arrived, %": [50.0, 50.0, 0.0]}
    assert [text for text, _ in tick_labels(browser)["losses xtick"]] == ["<b>", "2.1.9", "2.1.10"]
    panel = browser.find_element(By.ID, "losses")
    assert "48.79 % of 414 events that clients numbered in all games; by app version" in panel.text
    run(browser, "document.querySelector('#losses details').open = true")
    rows = "return [...document.querySelectorAll('#losses tbody tr')].map("
    assert run(browser, f"{rows}(row) => [...row.cells].map((cell) => cell.innerText))") == [
        ["2.1.9", "os 1", "400", "200", "50 %"],
        ["2.1.10", "os 0", "10", "0", "0 %"],
        ["<b>", "os 0", "4", "2", "50 %"],
    ]
    assert run(browser, "return document.documentElement.scrollWidth") <= 390
    assert log(browser, "browser") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_repeats_or_has_to_be_moved_sideways(
    browser: WebDriver, start: StartGateway, width: int
) -> None:
    running = start(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    levels = [*range(1_000, 1_040), "the one with the long name", "x" * 60]
    post_all(running, [body("p" * 60, "LevelCompleted", level=level) for level in levels])
    post_all(running, [body("ada", kind) for kind in ("AppOpen", "AdImpression", "GameEnd")])
    post_all(running, [body("ada", "AppOpen", game="g" * 60)])
    running.settle()
    wait_for_figures(running)
    look(browser, running, width)
    for wanted in RANGES:
        choose(browser, wanted)
        for axis, labels in tick_labels(browser).items():
            assert len(labels) > 1, axis
            texts = [text for text, _ in labels]
            assert all(text != near for text, near in pairwise(texts)), axis
            assert all(box["left"] >= 0 and box["right"] <= width for _, box in labels), axis
        axes = tick_labels(browser)
        for panel in drawn(browser):
            both = [*axes[f"{panel} xtick"], *axes[f"{panel} ytick"]]
            for (text, one), (near, other) in combinations(both, 2):
                beside = one["right"] <= other["left"] or other["right"] <= one["left"]
                above = one["bottom"] <= other["top"] or other["bottom"] <= one["top"]
                assert beside or above, f"{panel}, {wanted}: {text} {near}"
        shown = browser.find_element(By.ID, "sessions").is_displayed()
        assert shown == (RANGES[wanted] >= RANGES["7d"]), "no days in a range without one"
        assert browser.find_element(By.ID, "by-day").is_displayed() != shown
        if shown:
            counts = [text for text, _ in tick_labels(browser)["sessions ytick"]]
            assert counts == ["0", "1", "2"], "whole sessions"
        run(browser, "for (const each of document.querySelectorAll('details')) each.open = true")
        assert run(browser, "return document.documentElement.scrollWidth") <= width
        assert (
            run(
                browser,
                "return [...document.querySelectorAll('.scroll')].filter("
                "  (each) => each.scrollWidth > each.clientWidth).map((each) => each.ariaLabel)",
            )
            == []
        )


def test_the_charts_follow_the_colours_of_the_system_while_they_are_shown(
    browser: WebDriver, start: StartGateway
) -> None:
    running = start(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    post_all(running, [body("ada", "AppOpen")])
    running.settle()
    wait_for_figures(running)
    look(browser, running)
    colours = (
        "const probe = document.createElement('p'), chart = document.querySelector('#sessions');"
        "document.body.append(probe);"
        "const is = (name) => {"
        "  probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };"
        "const wanted = [is('soft'), is('c0')]; probe.remove();"
        "return [wanted, [getComputedStyle(chart.querySelector('.xtick text')).fill,"
        "  chart.querySelector('.plot').data[0].marker.color, chart.querySelector('.plot')"
        "  ._fullData[0].marker.color]]"
    )
    seen = set()
    for scheme in ("light", "dark", "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        wait_until(lambda: True if (found := run(browser, colours))[0][0] == found[1][0] else None)
        seen.add(run(browser, colours)[1][1])
    assert len(seen) == 2
    assert log(browser, "browser") == []


def test_what_players_send_is_shown_as_it_is(browser: WebDriver, start: StartGateway) -> None:
    running = start(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    hostile = '<a href="https://a">&lt;'
    post_all(running, [body("ada", "LevelCompleted", level=hostile, game=hostile)])
    running.settle()
    wait_for_figures(running)
    look(browser, running)
    shown = [text for text, _ in tick_labels(browser)["funnel xtick"]]
    assert shown == [f"{hostile[:11]}…"]
    chart = browser.find_element(By.CSS_SELECTOR, "#difficulty .plot")
    run(browser, "document.querySelector('#difficulty .plot').focus()")
    chart.send_keys(Keys.HOME)
    text = wait_until(lambda: hovered(browser, "difficulty") or None)
    assert f"Level {hostile}, 100 % completed" in text
    assert browser.find_elements(By.CSS_SELECTOR, ".plot a") == []
    assert log(browser, "browser") == []


def hovered(browser: WebDriver, panel: str) -> str:
    """The box with the values that the chart of a panel points at."""
    text: str = run(
        browser, f"return document.querySelector('#{panel} .hoverlayer')?.textContent ?? ''"
    )
    return text


def test_charts_can_be_read_with_the_keyboard(browser: WebDriver, start: StartGateway) -> None:
    running = start(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    post_all(running, [body("ada", "AppOpen")])
    running.settle()
    wait_for_figures(running)
    look(browser, running)
    chart = browser.find_element(By.CSS_SELECTOR, "#players .plot")
    run(browser, "document.querySelector('#players .plot').focus()")
    for key, told in ((Keys.END, "new 1, back again 0, all 1"), (Keys.ARROW_LEFT, "all 0")):
        chart.send_keys(key)
        spoken = browser.find_element(By.ID, "spoken").get_attribute("textContent") or ""
        assert told in spoken
        while not hovered(browser, "players").startswith(spoken.partition(":")[0]):
            wait_until(lambda: hovered(browser, "players") or None)
    chart.send_keys(Keys.END)
    wait_until(lambda: "new : 1" in hovered(browser, "players") or None)
    post_all(running, [body("eve", "AppOpen")])
    wait_until(lambda: sum(drawn(browser)["players"]["new"]) == 2 or None)
    wait_until(lambda: "new : 2" in hovered(browser, "players") or None)
    chart.send_keys(Keys.ESCAPE)
    wait_until(lambda: hovered(browser, "players") == "" or None)
    assert log(browser, "browser") == []
