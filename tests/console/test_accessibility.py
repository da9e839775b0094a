"""Every page, with something on it, held to axe-core: nothing serious, in any theme and width."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.console.shell import DEMO, HOME, OPERATORS, PUBLIC
from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "playsmart-tools"
AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
HEALTH = "document.getElementById('health-text').textContent"
RUN = """
    const done = arguments[0];
    axe.run(document, { resultTypes: ["violations"] }).then(
        ({ violations, passes }) => done([passes.length, violations
            .filter(({ impact }) => ["serious", "critical"].includes(impact))
            .map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.target.join(" "))])]),
        (error) => done([0, String(error)]));
"""
OPEN = "document.querySelectorAll('main details').forEach((each) => each.open = !each.hidden)"
FILLED = {
    "/": ("document.querySelector('#refusals tbody')", ""),
    "/inspector": (
        "document.querySelectorAll('#requests > li').length > 1",
        "document.querySelectorAll('.row').forEach((row) => row.click())",
    ),
    "/dashboard": ("document.querySelector('.plot .main-svg')", OPEN),
    "/dashboard/report": ("document.querySelector('.plot .main-svg')", OPEN),
    "/catalogue": ("document.querySelector('.event')", OPEN),
    "/dead-letters": ("document.querySelector('#counts .empty')", ""),
    "/docs": (
        "document.querySelector('.opblock-summary-control')",
        "document.querySelector('.opblock-summary-control').click()",
    ),
    "/manual": (HEALTH, ""),
    "/manual/operations": (HEALTH, ""),
    "/demo": ("document.querySelector('#verdict.good')", ""),
}
"""What is there when a page is filled, and what opens what is closed in it."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; see .ci/run"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("held")
    environment = {
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.3",
        "PLAYSMART_FIGURES__CPU_SHARE": "1",
    }
    running = RunningGateway(folder, environment, "--dev")
    running.secret = (folder / "data" / "dev-secret").read_text("utf-8").strip()
    try:
        bought = make_event("IAPPurchase", customdata={"price": 4.99, "currency": "EUR"})
        passed = make_event("LevelCompleted", customdata={"level": 5, "duration_seconds": 42})
        running.post(make_upload("ada", make_event(), passed, bought), sub="ada")
        running.post(make_upload("ada", make_event("Teleport")), sub="ada")
        running.post(make_upload("ada"))
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, running: RunningGateway) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile") / "of") as browser:
        browser.url = running.url
        browser.driver.set_script_timeout(120)
        yield browser


def found_by_axe(browser: Browser) -> Any:
    browser.driver.execute_script(AXE.read_text("utf-8"))
    passed, found = browser.driver.execute_async_script(RUN)
    assert passed > 5, found
    return found


def test_every_page_is_held_to_it() -> None:
    assert {each.path for each in (HOME, *OPERATORS, *PUBLIC, DEMO)} <= FILLED.keys()


@pytest.mark.parametrize("path", FILLED)
def test_axe_finds_nothing_serious(browser: Browser, path: str) -> None:
    is_filled, opening = FILLED[path]
    for width, dark in ((1280, False), (390, True)):
        browser.see(width, dark=dark)
        browser.open(path)
        browser.until(HEALTH, "ready")
        browser.until(is_filled)
        if opening:
            browser.ask(opening)
        assert found_by_axe(browser) == [], (width, dark)
    browser.see(1280, dark=True)
    assert found_by_axe(browser) == []
    browser.see(390)
    assert found_by_axe(browser) == []


def test_axe_finds_nothing_serious_where_the_keys_are_listed(browser: Browser) -> None:
    browser.see(1280)
    browser.open("/manual")
    browser.until(HEALTH, "ready")
    browser.press("?")
    browser.until("document.querySelector('dialog')?.open")
    assert found_by_axe(browser) == []


def test_what_is_wrong_is_found(browser: Browser) -> None:
    """Or else the tests above would hold nothing to anything."""
    browser.open("/manual")
    browser.until(HEALTH, "ready")
    browser.ask("document.body.append(document.createElement('select'))")
    assert [each[0] for each in found_by_axe(browser)] == ["select-name"]
