"""The report as a page: it is whole, asks nobody for anything, and fits the screen."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from playsmart_gateway.load import Report
from playsmart_gateway.load.html import page
from playsmart_gateway.load.plots import Line, plot
from playsmart_gateway.load.report import Broke, Latency, Moment
from tests.support.browser import BROWSER, DRIVER, NO_BROWSER, open_browser

WHEN = datetime(2026, 4, 22, 14, 30, tzinfo=UTC)
HOSTILE = "503 <script>alert(1)</script>"


def moment(at: int, *, failed: dict[str, int] | None = None, p50: float = 3.0) -> Moment:
    return Moment(
        at_seconds=at, wanted=40.0, sent=40.0, acknowledged=38.0, events=760.0, p50=p50,
        p95=2 * p50, p99=4 * p50, refused=failed or {}, errors={"timeout": 1} if failed else {},
    )  # fmt: skip


REPORT = Report(
    requests_sent=400, responses_2xx=380, refused={HOSTILE: 15}, errors={"timeout": 5}, unknown=5,
    events_sent=8_000, events_acknowledged=7_600, duration_seconds=10.2,
    requests_per_second=38.7, events_per_second=745.1,
    latency_ms=Latency(3, 5, 6, 12, 90, 120, 4.1), never_sent=0, interrupted=False,
    profile="ramp", processes=2, lost_processes=1, broke=Broke(7, 69.1, 61.0, "refusals"),
    timeline=[moment(at, failed={HOSTILE: 5} if at > 6 else None) for at in range(10)],
)  # fmt: skip


class Reader(HTMLParser):
    """Notes the tags, the texts and all attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_what_was_measured_and_what_went_wrong() -> None:
    read = Reader(page(REPORT, WHEN))
    for told in (
        "Load, ramp", "2026-04-22 14:30 UTC", "It broke by refusals after 7 s, at 69 requests",
        "61 were held before", "1 of 2 processes were lost", "39", "12.0 ms", "5.00 %",
    ):  # fmt: skip
        assert told in read.text, told
    assert read.tags.count("svg") == 4


def test_a_reason_that_a_server_invents_is_text_and_nothing_else() -> None:
    text = page(REPORT, WHEN)
    assert "<script" not in text
    assert HOSTILE in Reader(text).text


def test_it_names_no_address() -> None:
    read = Reader(page(REPORT, WHEN))
    assert not [each for each in read.values if "//" in each]
    assert not {"script", "link", "img", "iframe"} & set(read.tags)


def test_a_run_in_which_nothing_happened_is_a_page_too() -> None:
    empty = msgspec.structs.replace(REPORT, timeline=[], refused={}, errors={}, broke=None)
    assert "None." in Reader(page(empty, WHEN)).text


def test_more_reasons_than_can_be_told_apart_are_one_line() -> None:
    reasons = {f"503 REASON_{n}": 10 - n for n in range(9)}
    many = msgspec.structs.replace(REPORT, timeline=[moment(0, failed=reasons), moment(1)])
    text = Reader(page(many, WHEN)).text
    assert "503 REASON_0" in text
    assert "others" in text


def test_a_line_has_gaps_where_there_is_no_value_and_ends_on_round_numbers() -> None:
    drawn = plot("t", [0.5, 1.5, 2.5, 3.5], 4.0, [Line("a", "c0", [1.0, None, 97.0, 96.0])])
    assert drawn.count("<polyline") == 2
    assert ">100<" in drawn
    assert ">4 s<" in drawn


@pytest.mark.process
@pytest.mark.skipif(not (BROWSER and DRIVER), reason=NO_BROWSER)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_fits_a_desk_and_a_phone_light_and_dark_and_asks_nobody(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(REPORT, WHEN), "utf-8")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    back = "getComputedStyle(document.body).backgroundColor"
    seen = set()
    with open_browser(tmp_path / "profile") as browser:
        browser.url = file.as_uri()
        for width in (1280, 390):
            for dark in (False, True):
                browser.see(width, dark=dark)
                browser.open("")
                browser.ask(
                    "document.querySelectorAll('details').forEach(each => each.open = true)"
                )
                assert not browser.ask(wide), width
                seen.add(browser.ask(back))
                for each in ("h1", ".card b", "svg polyline", "table.whole"):
                    selector = f"document.querySelector('{each}').getBoundingClientRect().width"
                    assert browser.ask(selector) > 0
        assert len(seen) == 2, "light and dark differ"
        assert browser.asked_elsewhere() == []
        assert browser.complaints() == []
