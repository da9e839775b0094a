"""The frame of all pages: who is led where, that each link leads somewhere, and behind a prefix."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.cli.common import with_examples
from playsmart_gateway.config import Auth, Config, Journal, Operator
from playsmart_gateway.console.shell import HOME, OPERATORS, PUBLIC, Shell, shell_for
from playsmart_gateway.http.static import SECURITY_HEADERS
from playsmart_gateway.manual import CHAPTERS
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.process import SECRET

TOKEN = "a token of operators"
HTML = {"accept": "text/html"}
PAGES = [each.path for each in (HOME, *OPERATORS, *PUBLIC)]
PAGE = "<title>One</title>\n<link rel=x>\n<body class='own'>\n<main id=main>text</main>\n"


class Links(HTMLParser):
    """What a page leads to and loads, as it stands there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value is not None:
                self.targets.append(value)
            elif name == "id" and value:
                self.ids.add(value)


@asynccontextmanager
async def client(*, development: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=TOKEN)
    )
    mint = (lambda _="": "a token") if development else None
    app = create_app(
        with_examples(config), sink=MemorySink(), development=development, development_token=mint
    )
    async with in_process(app) as http:
        yield http


def entries(page: str) -> list[str]:
    """The texts of the navigation."""
    return re.findall(r"<li><a [^>]*data-key[^>]*>([^<]+)</a>", page)


async def test_every_link_of_every_page_leads_somewhere_in_the_house() -> None:
    async with client(development=True) as http:
        seen, open_ = set[str](), [HOME.path]
        while open_:
            path = open_.pop()
            seen.add(path)
            answer = await http.get(path, headers=HTML, auth=("me", TOKEN))
            assert answer.status_code == 200 or path == "/home/sign-in", path
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            found = Links(answer.text)
            for target in found.targets:
                there = urlsplit(urljoin(f"http://localhost{path}", target))
                assert (there.scheme, there.netloc) == ("http", "localhost"), (path, target)
                if target.startswith("#"):
                    assert there.fragment in found.ids, (path, target)
                elif there.path not in seen and there.path not in open_:
                    open_.append(there.path)
    assert {*PAGES, "/demo", *(f"/manual/{name}" for name in CHAPTERS)} <= seen


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_leads_to_the_others_and_marks_itself(path: str) -> None:
    async with client() as http:
        page = await http.get(path, headers=HTML, auth=("me", TOKEN))
    assert entries(page.text) == [each.name for each in (HOME, *OPERATORS, *PUBLIC)]
    (mark,) = re.findall(r'<a href="([^"]*)"[^>]* aria-current="page">', page.text)
    assert urlsplit(urljoin(f"http://localhost{path}", mark)).path == path
    assert dict(SECURITY_HEADERS).items() <= dict(page.headers).items()


@pytest.mark.parametrize("path", PAGES)
async def test_behind_a_prefix_of_a_proxy_every_page_loads_its_files_and_finds_the_others(
    path: str,
) -> None:
    """What a browser asks for at ``/games/...`` a proxy asks here without ``/games``."""
    async with client() as http:
        page = await http.get(path, headers=HTML, auth=("me", TOKEN))
        head = page.text.partition("<body")[0]
        for target in [
            *(each for each in Links(head).targets if "manual.css" not in each),
            *re.findall(r'<a href="([^"]*)"[^>]*data-key', page.text),
        ]:
            asked = urlsplit(urljoin(f"http://localhost/games{path}", target)).path
            assert asked.startswith("/games/"), target
            own = asked.removeprefix("/games")
            answer = await http.get(own, headers=HTML, auth=("me", TOKEN))
            assert answer.status_code == 200, target


async def test_where_nobody_is_an_operator_no_page_of_theirs_is_named() -> None:
    config = Config(journal=Journal(enabled=False), auth=Auth(secret=SECRET))
    async with in_process(create_app(config, sink=MemorySink())) as http:
        for path in ("/", "/docs", "/manual", "/manual/tutorial"):
            page = (await http.get(path, headers=HTML)).text
            assert entries(page) == ["Home", "Docs", "Manual"]
            assert "dashboard" not in page.partition("<main")[0]


async def test_the_files_of_the_shell_are_for_everybody_and_who_has_them_is_told_so() -> None:
    async with client() as http:
        for path in ("/shell/shell.css", "/shell/shell.js", "/shell/icon.svg", "/favicon.ico"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert dict(SECURITY_HEADERS).items() <= dict(answer.headers).items()
            known = {"if-none-match": answer.headers["etag"]}
            assert (await http.get(path, headers=known)).status_code == 304
        for guess in ("shell.html", "__init__.py", "..%2faccess.py"):
            assert (await http.get(f"/shell/{guess}")).status_code == 404


def test_a_page_keeps_what_is_its_own_and_a_chapter_belongs_to_the_manual() -> None:
    shell = shell_for(operators=True, demo=False)
    page = shell.frame("/manual/tutorial", PAGE)
    assert "<title>One · playsmart_gateway</title>\n<link rel=x>\n</head>" in page
    assert "<body class='own' data-keeps=\"\">" in page
    assert 'aria-current="true">Manual</a>' in page
    assert page.count("aria-current") == 1
    assert 'href="../shell/shell.css"' in page
    assert page.rstrip().endswith("<main id=main>text</main>\n</body>\n</html>")
    report = shell.frame("/dashboard/report", PAGE)
    assert 'data-keeps="game range from to">' in report.partition("<main")[0]
    assert report.count("aria-current") == 1


def test_a_page_that_is_in_no_navigation_marks_nothing() -> None:
    page = Shell([HOME]).frame("/elsewhere", PAGE)
    assert "aria-current" not in page
    assert "data-keeps" not in page.partition("<header")[0]
