"""The shell in a real browser: one gets everywhere, keeps what one looks at, and sees how it is."""

import re
from collections.abc import Iterator

import pytest

from playsmart_gateway.console.shell import DEMO, HOME, OPERATORS, PUBLIC
from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser
from tests.support.polling import wait_until
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ENTRIES = (HOME, *OPERATORS, *PUBLIC, DEMO)
GAME = "com.example.game"
HEALTH = "document.getElementById('health-text').textContent"
HERE = "document.querySelector('.shell [aria-current=page]')?.textContent"
SEARCH = "new URLSearchParams(location.search)"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("shown")
    running = RunningGateway(folder, {"PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.3"}, "--dev")
    running.secret = (folder / "data" / "dev-secret").read_text("utf-8").strip()
    try:
        running.post(make_upload("ada", make_event("LevelCompleted")), sub="ada")
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile") / "of") as browser:
        yield browser


@pytest.fixture
def browser(one_browser: Browser, running: RunningGateway) -> Browser:
    one_browser.url = running.url
    one_browser.see(1280)
    one_browser.open("/healthz")
    one_browser.ask("sessionStorage.clear()")
    one_browser.complaints()
    return one_browser


def is_at(browser: Browser, path: str) -> bool:
    found: str = browser.ask("location.pathname")
    return found == path and browser.ask("document.readyState") == "complete"


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_one_gets_from_each_page_to_the_next_by_mouse_and_by_keyboard(
    browser: Browser, way: str
) -> None:
    browser.open("/manual/tutorial")
    assert browser.ask("document.querySelector('.shell [aria-current=true]').textContent") == (
        "Manual"
    )
    for entry in ENTRIES:
        browser.until(f"document.querySelector('.shell [data-key={entry.key}]')")
        browser.until(HEALTH, "ready")  # the script of the shell runs
        if way == "mouse":
            browser.ask(f"document.querySelector('.shell [data-key={entry.key}]').click()")
        else:
            browser.press("g", entry.key)
        wait_until(lambda path=entry.path: is_at(browser, path) or None)  # type: ignore[misc]
        assert browser.ask(HERE) == entry.name
    assert browser.complaints() == []
    assert browser.asked_elsewhere() == []


def test_the_keys_are_listed_and_none_is_taken_from_who_writes(browser: Browser) -> None:
    browser.open("/inspector")
    browser.until(HEALTH, "ready")
    browser.until("document.getElementById('connection').dataset.state", "live")
    browser.press("?")
    listed = browser.until("document.getElementById('shortcuts')?.innerText")
    for entry in ENTRIES:
        assert entry.name in listed
    assert "pause" in listed  # of this page alone
    browser.press("Escape")
    browser.until("document.querySelector('dialog').open", found=False)
    browser.press("/", "g", "d", "?")
    assert browser.ask("document.getElementById('player').value") == "gd?"
    assert browser.ask("location.pathname") == "/inspector"


def test_the_first_key_of_all_leads_over_the_bar_to_the_content(browser: Browser) -> None:
    browser.open("/dashboard")
    browser.press("Tab")
    assert browser.ask("document.activeElement.textContent") == "Skip to the content"
    browser.press("Enter")
    assert browser.until("document.activeElement.id") == "main"


def go(browser: Browser, name: str) -> None:
    key = next(each.key for each in ENTRIES if each.name == name)
    browser.ask(f"document.querySelector('.shell [data-key={key}]').click()")
    wait_until(lambda: browser.ask(HERE) == name or None)


def test_the_game_and_the_time_are_kept_from_page_to_page(browser: Browser) -> None:
    browser.open("/dashboard")
    browser.until(f"document.querySelector('#game [value=\"{GAME}\"]')")
    browser.ask("document.querySelector('[value=\"30d\"]').click()")
    browser.ask(
        f"(document.getElementById('game').value = '{GAME}',"
        " document.getElementById('game').dispatchEvent(new Event('change', {bubbles: true})))"
    )
    browser.until(f"{SEARCH}.get('game')", GAME)
    go(browser, "Catalogue")
    assert browser.until("document.getElementById('game').value") == GAME
    go(browser, "Inspector")
    assert browser.ask("document.getElementById('game').value") == GAME
    go(browser, "Manual")
    go(browser, "Report")
    assert browser.until("document.getElementById('game').value") == GAME
    days = "(Date.parse(last.value) - Date.parse(first.value)) / 86400000 + 1"
    assert browser.ask(days) == 30
    go(browser, "Dashboard")
    assert browser.ask(f"{SEARCH}.get('range')") == "30d"
    assert browser.ask("document.getElementById('game').value") == GAME


def test_days_of_the_report_come_back_and_all_games_are_all_games_everywhere(
    browser: Browser,
) -> None:
    browser.open(f"/dashboard/report?game={GAME}")
    browser.ask(
        "(first.value = '2026-03-02', last.value = '2026-03-05',"
        " first.dispatchEvent(new Event('change', {bubbles: true})))"
    )
    browser.until(f"{SEARCH}.get('from')", "2026-03-02")
    go(browser, "Dashboard")
    assert browser.ask("document.querySelector('[name=range]:checked').value") == "7d"
    browser.ask("(game.value = '', game.dispatchEvent(new Event('change', {bubbles: true})))")
    go(browser, "Catalogue")
    assert browser.ask(f"{SEARCH}.get('game')") is None
    go(browser, "Report")
    assert browser.ask("[first.value, last.value, game.value]") == ["2026-03-02", "2026-03-05", ""]
    browser.open("/dashboard/report?range=7d")  # what a link says is more than what is kept
    assert browser.ask(f"{SEARCH}.get('from')") is None


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda each: each.name)
def test_each_page_fits_a_phone_and_its_menu_opens_and_closes(
    browser: Browser, entry: object
) -> None:
    path = entry.path  # type: ignore[attr-defined]
    for dark in (False, True):
        browser.see(390, dark=dark)
        browser.open(path)
        browser.until(HEALTH, "ready")
        assert browser.ask("document.documentElement.scrollWidth") <= 390
        background = browser.ask("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == dark
    shown = "document.getElementById('pages').checkVisibility()"
    assert not browser.ask(shown)
    browser.ask("document.getElementById('menu').click()")
    browser.until(shown)
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    box = browser.ask("document.getElementById('pages').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= 390
    browser.press("Escape")
    browser.until(shown, found=False)


def test_the_light_tells_that_the_gateway_is_gone_and_the_page_recovers(
    browser: Browser, running: RunningGateway
) -> None:
    """The last one: the gateway that comes back is another process on the same port."""
    browser.open("/dashboard")
    browser.until(HEALTH, "ready")
    assert running.stop() == 0
    told = wait_until(lambda: text if (text := browser.ask(HEALTH)) != "ready" else None)
    assert re.fullmatch(r"not ready: .+|no answer since \d\d:\d\d:\d\d", told)
    wait_until(lambda: browser.ask(HEALTH).startswith("no answer since") or None)
    assert browser.ask("document.getElementById('health').dataset.state") == "gone"
    again = RunningGateway(running.folder, {}, "--dev", "--port", str(running.port))
    try:
        browser.until(HEALTH, "ready")
        browser.until("document.getElementById('status').textContent", "Live, every 2 s")
    finally:
        again.close()
