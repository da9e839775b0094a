"""The page of the dead letters in a real browser: from a reason to the command that stores them."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from playsmart_gateway.stores.open import open_store
from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, Browser, open_browser
from tests.support.counted import MONDAY, batch, row
from tests.support.polling import wait_until
from tests.support.process import StartGateway

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HOSTILE = "it's <img src=x onerror=\"document.title='hacked'\"> $(touch hacked)"
ROWS = "[...document.querySelectorAll('#counts tbody tr')].map((each) => each.innerText)"
LETTERS = "[...document.querySelectorAll('.letter summary')].map((each) => each.innerText)"
COMMAND = "document.getElementById('command').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile") / "of") as browser:
        yield browser


def bury(folder: Path, *reasons: str) -> None:
    async def burying() -> None:
        async with open_store(f"sqlite:///{folder}/data/playsmart.db", migrates=False) as store:
            for sequence, reason in enumerate(reasons, 1):
                rows = [row("Custom", HOSTILE, password="hunter22", level=sequence)]
                await store.bury(batch(sequence, f"p{sequence}", MONDAY, *rows), reason)

    asyncio.run(burying())


def run(command: str, folder: Path) -> str:
    """Run a command of the page in a shell, in earnest."""
    return subprocess.check_output(
        ["/bin/bash", "-c", command.replace("--dry-run", "")],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/bin:/usr/bin"},
        text=True,
    )


def test_one_gets_from_a_reason_to_its_letters_and_to_the_command_that_stores_them(
    browser: Browser, start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev")
    browser.url = running.url
    browser.see(1280)
    browser.open("/dead-letters")
    browser.complaints()
    assert "There are none" in browser.until("document.querySelector('#counts .empty')?.innerText")
    bury(running.folder, "too odd", HOSTILE, "too odd")
    odd, hostile = browser.until(f"{ROWS}.length && {ROWS}")
    assert odd.startswith("too odd")
    assert hostile.startswith(HOSTILE)
    assert len(browser.ask(LETTERS)) == 3
    browser.ask("document.querySelectorAll('#counts button')[1].click()")
    browser.until(f"{LETTERS}.length", 1)
    command = browser.until(COMMAND)
    browser.ask("document.querySelector('.letter summary').click()")
    inside = browser.until("document.querySelector('.inside')?.innerText")
    assert "hunter22" not in inside
    assert HOSTILE in inside
    assert '"level": 2' in inside
    assert browser.ask("document.title") == "Dead letters · playsmart_gateway"
    assert "reason=" in browser.ask("location.search")
    assert "replayed 1 dead letters: 1 events stored" in run(command, running.folder)
    assert not (running.folder / "hacked").exists()
    wait_until(lambda: len(browser.ask(ROWS)) == 1 or None)
    assert browser.complaints() == []
    assert browser.asked_elsewhere() == []


def test_a_command_has_no_keys_of_a_terminal_and_means_the_same(
    browser: Browser, start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev")
    reason = "it's \\ \x1b[201~\x15touch hacked\r\u202e\x9b1"
    bury(running.folder, reason, "too odd")
    browser.url = running.url
    browser.open(f"/dead-letters?reason={quote(reason)}")
    browser.until(f"{LETTERS}.length", 1)
    command = browser.until(COMMAND)
    assert command.isprintable()
    assert "replayed 1 dead letters: 1 events stored" in run(command, running.folder)


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(browser: Browser, start_gateway: StartGateway, dark: bool) -> None:
    running = start_gateway("--dev")
    bury(running.folder, "x" * 300)
    browser.url = running.url
    browser.see(390, dark=dark)
    browser.open("/dead-letters")
    browser.until(f"{LETTERS}.length", 1)
    browser.ask("document.querySelector('.letter summary').click()")
    browser.until("document.querySelector('.inside')")
    assert browser.ask("document.documentElement.scrollWidth") <= 390
