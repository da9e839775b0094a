"""The panel "What a 202 means here" on the home page, in a real browser."""

from collections.abc import Iterator

import pytest

from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser
from tests.support.ports import free_port
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PANEL = 'document.querySelector("[data-panel=promise]")'
STATE = f"{PANEL}.dataset.state"
LAW = f'{PANEL}.querySelector("svg")?.getAttribute("aria-label")'
BANDS = f'{PANEL}.querySelectorAll("svg .band").length'
TOKEN = "a-token-of-operators"
TIMES = "[null, NaN, -1, Infinity, 0, 0.4, 1, 59, 119, 120, 7200, 86400, 864000].map(module.time)"
SIZES = "[null, 0, 1023, 1024, 1536, 16777216, 5e12].map(module.size)"
PACES = """["done", "keeps_up", "catching_up", "falling_behind", "unknown"].map(
    (state) => module.pace({ state, behind: 5, seconds: state === "catching_up" ? 90 : null }))
    .concat(module.pace({ state: "done", behind: null, seconds: 0 }))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile") / "of") as browser:
        yield browser


def look(
    browser: Browser, running: RunningGateway, width: int = 1280, *, dark: bool = False
) -> None:
    browser.url = running.url
    browser.see(width, dark=dark)
    browser.driver.get("about:blank")
    browser.complaints()
    browser.open("/")


def send(running: RunningGateway, events: int) -> None:
    secret = running.folder / "data" / "dev-secret"
    running.secret = secret.read_text("utf-8").strip()
    assert running.post(make_upload("ada", *[make_event()] * events), sub="ada").is_success


def test_it_says_what_survives_and_draws_the_law_as_it_changes(
    browser: Browser, start_gateway: StartGateway
) -> None:
    running = start_gateway("--dev", secret=None, JOURNAL__FSYNC_INTERVAL_SECONDS="0.05")
    look(browser, running)
    browser.until(STATE, "told")
    text = browser.ask(f"{PANEL}.innerText")
    assert "What a 202 means here" in text
    assert "Up to 50 ms of events may be lost" in text
    assert "synced every 50 ms" in text
    assert browser.ask(LAW).startswith("0 received = 0 stored + 0 duplicate")
    assert browser.ask(BANDS) == 0
    send(running, 7)
    browser.until(LAW, "7 received = 7 stored + 0 duplicate + 0 rejected + 0 waiting")
    assert browser.ask(BANDS) == 1
    rows = f'[...{PANEL}.querySelectorAll("tbody tr")].map((row) => row.dataset.state)'
    browser.until(f"{rows}.every((state) => state === 'done')")
    assert "NaN" not in browser.ask(f"{PANEL}.innerText")
    assert browser.complaints() == []
    assert browser.asked_elsewhere() == []


def test_times_sizes_and_paces_are_words_and_what_is_not_known_is_a_dash(
    browser: Browser, start_gateway: StartGateway
) -> None:
    look(browser, start_gateway("--dev", secret=None))
    browser.until(STATE, "told")
    asked = "import('/promise/promise.js').then((module) => [{}])"
    times, sizes, paces = browser.ask(asked.format(f"{TIMES}, {SIZES}, {PACES}"))
    assert times == [
        "—", "—", "—", "—", "less than 1 s", "less than 1 s", "about 1 s", "about 59 s",
        "about 119 s", "about 2 min", "about 2 h", "about 24 h", "about 10 d",
    ]  # fmt: skip
    assert sizes == ["—", "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "16.0 MiB", "4.5 TiB"]
    assert paces == ["caught up", "keeps up", "about 90 s", "falls behind", "—", "—"]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("number", [0, 999_999, 987_654_321_012])
def test_numbers_of_any_size_are_whole_in_the_picture(
    browser: Browser, start_gateway: StartGateway, width: int, number: int
) -> None:
    look(browser, start_gateway("--dev", secret=None), width)
    browser.until(STATE, "told")
    law = f"{{received: {number}, stored: {number}, duplicate: 0, rejected: {number}, waiting: 1}}"
    outside = browser.ask(
        f"""import('/promise/promise.js').then((module) => {{
            const place = {PANEL}.querySelector("figure");
            const drawn = module.picture({law});
            place.replaceChildren(drawn);
            const box = drawn.getBoundingClientRect();
            return [...drawn.querySelectorAll("text")].map((each) => each.getBoundingClientRect())
                .filter((each, place, all) => each.left < box.left || each.right > box.right
                    || each.top < box.top || each.bottom > box.bottom
                    || all.some((other, at) => at < place && each.left < other.right
                        && other.left < each.right && each.top + 3 < other.bottom
                        && other.top + 3 < each.bottom)).length;
        }})"""
    )
    assert outside == 0


def test_what_was_opened_or_closed_stays_so_and_keeps_the_focus(
    browser: Browser, start_gateway: StartGateway
) -> None:
    running = start_gateway("--dev", secret=None)
    look(browser, running)
    browser.until(STATE, "told")
    summary = f'{PANEL}.querySelector("summary")'
    browser.ask(f"{summary}.focus()")
    browser.press("Enter")
    browser.until(f'{PANEL}.querySelector("details").open', found=False)
    send(running, 3)
    browser.until(f"{LAW}.startsWith('3 received')")
    assert browser.ask(f'{PANEL}.querySelector("details").open') is False
    assert browser.ask("document.activeElement.tagName") == "SUMMARY"


def test_while_the_gateway_is_gone_what_it_said_pales_and_then_goes_on(
    browser: Browser, start_gateway: StartGateway
) -> None:
    port = str(free_port())
    running = start_gateway("--dev", "--port", port, secret=None)
    look(browser, running)
    browser.until(STATE, "told")
    assert running.stop() == 0
    browser.until(STATE, "gone")
    assert "What a 202 means here" in browser.ask(f"{PANEL}.innerText")
    start_gateway("--dev", "--port", port, secret=None)
    browser.until(STATE, "told")


def test_a_stranger_has_none_of_it_and_an_operator_all(
    browser: Browser, start_gateway: StartGateway
) -> None:
    running = start_gateway(OPERATOR__TOKEN=TOKEN)
    look(browser, running)
    browser.until("document.getElementById('sign-in').checkVisibility()")
    assert not browser.ask(f"{PANEL}.checkVisibility()")
    assert browser.ask(f"{PANEL}.innerText") == ""
    browser.driver.get(running.url.replace("//", f"//me:{TOKEN}@") + "/home/sign-in")
    browser.until(STATE, "told")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen(
    browser: Browser, start_gateway: StartGateway, width: int, dark: bool
) -> None:
    running = start_gateway("--dev", secret=None)
    send(running, 3)
    look(browser, running, width, dark=dark)
    browser.until(STATE, "told")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    edges = f'[...{PANEL}.querySelectorAll("*")].map((each) => each.getBoundingClientRect().right)'
    assert browser.ask(f"Math.max(...{edges})") <= width
