"""``/manual`` and ``/manual/CHAPTER``: the chapters as pages, which need no script and no internet.

Markdown becomes HTML by ``markdown-it-py`` when a chapter is first asked for, in a thread, and is
kept. HTML in a chapter would be shown as text.
"""

import asyncio
import re
from collections.abc import Iterator
from functools import cache, partial
from html import escape
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.http.static import SECURITY_HEADERS, Asset, Frame
from playsmart_gateway.manual import CHAPTERS, Heading, headings, read

_CELL, _CODE = re.compile("<td.*?</td>"), re.compile("<code>([^<]*)</code>")
_ENDS = re.compile(r"(?<=[_./])(?=\w)")
"""Where a word in a name ends: ``playsmart_`` and ``client.`` and ``js``."""

PATH = "/manual"
_STYLE = "manual.css"
_HERE = Path(__file__).parent


def routes(frame: Frame) -> list[Route]:
    """Return the list of chapters, the chapters, and their style; pages are in the ``frame``."""
    index_page = cache(partial(_index, frame))
    chapter_page = cache(partial(_chapter, frame))

    async def index(request: Request) -> Response:
        return index_page().answer(request, SECURITY_HEADERS)

    async def chapter(request: Request) -> Response:
        name = request.path_params["name"]
        if name == _STYLE:
            return _style().answer(request, SECURITY_HEADERS)
        if name not in CHAPTERS:
            raise HTTPException(404)
        asset = await asyncio.to_thread(chapter_page, name)
        return asset.answer(request, SECURITY_HEADERS)

    return [Route(PATH, index), Route(PATH + "/{name}", chapter, include_in_schema=False)]


@cache
def _style() -> Asset:
    return Asset.of((_HERE / _STYLE).read_bytes(), "text/css")


def _index(frame: Frame) -> Asset:
    items = "".join(
        f'<li><a href="{PATH}/{name}">{name}</a> {escape(about)}</li>'
        for name, about in CHAPTERS.items()
    )
    body = (
        "<h1>Manual</h1>"
        "<p>The same is printed by <code>playsmart-gateway manual CHAPTER</code>.</p>"
        f'<ul class="chapters">{items}</ul>'
    )
    return _page(frame, "Manual", "", body)


def _chapter(frame: Frame, name: str) -> Asset:
    text = read(name)
    found = headings(text)
    body = _html(text, found)
    sections = "".join(
        f'<li><a href="#{each.anchor}">{escape(each.title.replace("`", ""))}</a></li>'
        for each in found
        if each.level == 2
    )
    if sections:
        head, end, rest = body.partition("</h1>\n")
        contents = f"<details><summary>On this page</summary><ul>{sections}</ul></details>\n"
        body = head + end + contents + rest
    return _page(frame, found[0].title, name, body + "".join(_next(name)))


def _next(name: str) -> Iterator[str]:
    names = list(CHAPTERS)
    for following in names[names.index(name) + 1 :][:1]:
        yield f'<p class="next">Next: <a href="{PATH}/{following}">{following}</a></p>'


def _page(frame: Frame, title: str, current: str, body: str) -> Asset:
    here = ' aria-current="page"'
    links = "".join(
        f'<li><a href="{PATH}/{name}"{here if name == current else ""}>{name}</a></li>'
        for name in CHAPTERS
    )
    page = frame(f"{PATH}/{current}".rstrip("/"), (_HERE / "page.html").read_text("utf-8"))
    parts = {"<!-- title -->": escape(title), "<!-- chapters -->": links, "<!-- body -->": body}
    for mark, part in parts.items():
        page = page.replace(mark, part, 1)
    return Asset.of(page.encode(), "text/html", pack=True)


def _html(text: str, found: list[Heading]) -> str:
    """Return a chapter as HTML, headings with their anchors and links between chapters ours."""
    from markdown_it import MarkdownIt  # 50 ms that nobody pays who does not read

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    anchors = iter(found)
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type == "heading_open":
            token.attrSet("id", next(anchors).anchor)
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _href(str(child.attrGet("href"))))
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    reached = {  # by keys, as they may be wider than the screen
        "<pre>": '<pre tabindex="0">',
        "<table>": '<div class="scroll" tabindex="0"><table>',
        "</table>": "</table></div>",
    }
    for plain, made in reached.items():
        html = html.replace(plain, made)
    return _CELL.sub(lambda cell: _CODE.sub(_breakable, cell[0]), html)


def _breakable(code: re.Match[str]) -> str:
    """Let a name break where its words end, and not in the middle of one on a phone."""
    return f"<code>{_ENDS.sub('<wbr>', code[1])}</code>"


def _href(target: str) -> str:
    file, hash_, anchor = target.partition("#")
    return f"{PATH}/{file.removesuffix('.md')}{hash_}{anchor}" if file.endswith(".md") else target
