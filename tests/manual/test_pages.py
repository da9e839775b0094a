"""``/manual`` and ``/manual/CHAPTER``."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Auth, Config, Journal
from playsmart_gateway.http.static import SECURITY_HEADERS
from playsmart_gateway.manual import CHAPTERS, headings, read
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.process import SECRET

CONFIG = Config(auth=Auth(secret=SECRET), journal=Journal(enabled=False))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(create_app(CONFIG, sink=MemorySink())) as found:
        yield found


async def test_the_list_leads_to_every_chapter(client: httpx.AsyncClient) -> None:
    page = await client.get("/manual")
    assert page.status_code == 200
    for name in CHAPTERS:
        assert f'<li><a href="/manual/{name}">{name}</a> ' in page.text
    assert "/manual" in (await client.get("/")).json()["links"]


@pytest.mark.parametrize("name", CHAPTERS)
async def test_a_chapter_is_a_page_of_our_own_files(client: httpx.AsyncClient, name: str) -> None:
    page = await client.get(f"/manual/{name}")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert dict(SECURITY_HEADERS).items() <= dict(page.headers).items()
    assert page.text.count("<script") == 1  # of the shell, which the text does without
    assert "style=" not in page.text
    ids = set(re.findall(r'id="([^"]+)"', page.text))
    assert {each.anchor for each in headings(read(name))} <= ids
    for target in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        if target.startswith("../"):  # of the shell
            assert (await client.get(target.removeprefix(".."))).status_code == 200
            continue
        assert not target.endswith(".md")
        if target.startswith("#"):
            assert target[1:] in ids
        elif target.startswith("/manual/") and not target.endswith(".css"):
            assert read(target.removeprefix("/manual/"))
        else:
            assert target in {"/manual", "/manual/manual.css", "#main"}


async def test_a_name_in_a_table_breaks_where_its_words_end(client: httpx.AsyncClient) -> None:
    page = await client.get("/manual/client-typescript")
    assert "<code>playsmart_<wbr>client.<wbr>ts</code>" in page.text
    assert "from &quot;./playsmart_client.js&quot;" in page.text, "what is copied is as it was"


async def test_who_has_a_page_is_told_so(client: httpx.AsyncClient) -> None:
    for path in ("/manual", "/manual/tutorial", "/manual/manual.css"):
        page = await client.get(path)
        again = await client.get(path, headers={"if-none-match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert page.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nonsense", "tutorial.md", "page.html", "..%2fpages.py"])
async def test_what_is_no_chapter_is_not_there(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/manual/{name}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "not_found")


def test_the_gateway_starts_without_what_renders_the_pages() -> None:
    code = "import sys, playsmart_gateway.app; print('markdown_it' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
