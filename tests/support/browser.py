"""A headless Chromium that notes what it asks for and what it complains of."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.support.polling import wait_until

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NO_BROWSER = "there is no chromium with chromedriver"
LOCAL = ("data:", "chrome:", "about:", "blob:")
_KEYS = {"Enter": "\r", "Tab": "", "Escape": ""}


class Browser:
    """Looks at pages of the gateway at ``url``, which may change."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver
        self.url = ""

    def see(self, width: int, *, dark: bool = False) -> None:
        """Take a screen of this width, and light or dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def ask(self, expression: str) -> Any:
        """Return what an expression of JavaScript is."""
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression: str, found: Any = None) -> Any:
        """Wait until an expression is ``found``, or true if that is None; return it."""

        def look() -> Any:
            value = self.ask(expression)
            return (value or None) if found is None else (value == found or None)

        return wait_until(look)

    def press(self, *keys: str) -> None:
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                text = _KEYS.get(key, key) if kind == "keyDown" else ""
                code = {"Enter": 13, "Tab": 9, "Escape": 27}.get(key, 0)
                self.command(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=key,
                    text=text,
                    windowsVirtualKeyCode=code,
                )

    def complaints(self) -> list[str]:
        """What the pages complained of since this was asked last."""
        return [each["message"] for each in self._log("browser")]

    def asked_elsewhere(self) -> list[str]:
        """The addresses that were asked for since this was asked last, but for the gateway's."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        assert urls
        return [each for each in urls if not each.startswith((self.url, *LOCAL))]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty ``profile``, and stop it."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
        *("--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
