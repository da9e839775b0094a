"""The home page in a real browser: the first event, what comes in and is refused, and strangers."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TOKEN = "a-token-of-operators"
STATE = "document.getElementById('state-text').textContent"
SHOWN = "document.getElementById('{}').checkVisibility()"
FACTS = "document.getElementById('facts').innerText"
BETWEEN = """() => {
  const [before, last] = [...document.querySelectorAll('#refusals th')].slice(-2).map((each) => {
    const text = document.createRange();
    text.selectNodeContents(each);
    return text.getBoundingClientRect();
  });
  return last.left - before.right;
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile") / "of") as browser:
        yield browser


def look(browser: Browser, running: RunningGateway) -> None:
    browser.url = running.url
    browser.see(1280)
    browser.open("/healthz")
    browser.complaints()
    browser.open("/")


def test_the_first_event_is_a_command_to_copy_that_works_as_it_stands(
    browser: Browser, start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev", secret=None)
    look(browser, running)
    browser.until(STATE, "Ready")
    command = browser.until("document.getElementById('curl').textContent")
    browser.command("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    browser.ask("document.getElementById('copy').click()")
    assert browser.until("document.getElementById('copy').textContent", "Copied")
    answer = subprocess.check_output(
        ["/bin/bash", "-c", command],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert answer.startswith("HTTP/1.1 202")
    browser.until(SHOWN.format("first"), found=False)
    assert re.search(r"Received since then\n1 event", browser.until(FACTS))
    running.post(make_upload("ada", make_event("Teleport")))
    told = "document.querySelector('#refusals tbody')?.innerText"
    browser.until(f"{told}?.includes('unauthenticated:missing')")
    label = "document.querySelector('.plot.events svg').ariaLabel"
    assert browser.until(f"/^Events: [\\d.]+ a second now/.test({label})")
    assert browser.complaints() == []
    assert browser.asked_elsewhere() == []


def test_a_stranger_sees_the_name_the_state_and_links_and_is_asked_for_nothing(
    browser: Browser, start_gateway: StartGateway
) -> None:
    running = start_gateway(OPERATOR__TOKEN=TOKEN)
    look(browser, running)
    browser.until(STATE, "Ready")
    browser.until(SHOWN.format("sign-in"))
    for name in ("facts", "rates", "refusals", "first"):
        assert not browser.ask(SHOWN.format(name)), name
    assert "/home/sign-in" in browser.ask("document.querySelector('#sign-in a').href")
    # That it was refused is all that there is to complain of.
    assert {each.partition(" - ")[2][:30] for each in browser.complaints()} <= {
        "Failed to load resource: the s"
    }


def test_who_signs_in_sees_figures_and_all_panels(
    browser: Browser, start_gateway: StartGateway
) -> None:
    running = start_gateway(OPERATOR__TOKEN=TOKEN)
    known = running.url.replace("//", f"//me:{TOKEN}@")
    browser.driver.get(f"{known}/home/sign-in")
    browser.until(FACTS)
    assert browser.ask("location.pathname") == "/"
    assert not browser.ask(SHOWN.format("sign-in"))
    assert "$(playsmart-gateway token" in browser.ask("document.getElementById('curl').textContent")


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen_with_all_that_it_can_show(
    browser: Browser, start_gateway: StartGateway, width: int
) -> None:
    running = start_gateway("--dev", secret=None)
    running.post(make_upload("ada"))
    look(browser, running)
    browser.see(width)
    browser.until("document.getElementById('curl').textContent")
    browser.until("document.querySelector('#refusals tbody')")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(f"({BETWEEN})()") > 4, "a gap between the headings refused and lately"
