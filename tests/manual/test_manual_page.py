"""The pages of the manual in a real browser, without a screen."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from playsmart_gateway.manual import CHAPTERS
from tests.support.polling import wait_until
from tests.support.process import RunningGateway

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZES = [(1280, False), (1280, True), (390, False), (390, True)]

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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def see(browser: WebDriver, width: int, *, dark: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def ask(browser: WebDriver, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_no_chapter_is_wider_than_the_screen_in_any_colour(
    browser: WebDriver, gateway: RunningGateway, width: int, dark: bool
) -> None:
    see(browser, width, dark=dark)
    for path in ("/manual", *(f"/manual/{name}" for name in CHAPTERS)):
        browser.get(gateway.url + path)
        assert ask(browser, "document.documentElement.scrollWidth") <= width, path
        background = ask(browser, "getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == dark
    errors: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert errors == []


def test_a_link_to_a_heading_of_another_chapter_leads_there(
    browser: WebDriver, gateway: RunningGateway
) -> None:
    see(browser, 1280, dark=False)
    browser.get(f"{gateway.url}/manual/configuration")
    ask(browser, "document.querySelector('a[href=\"/manual/growing#workers\"]').click()")
    there = "document.readyState === 'complete' && document.querySelector(':target')?.textContent"
    assert wait_until(lambda: ask(browser, there) or None) == "Workers"
    assert browser.current_url == f"{gateway.url}/manual/growing#workers"
    assert (
        ask(browser, "document.querySelector('.contents [aria-current]').textContent") == "growing"
    )
