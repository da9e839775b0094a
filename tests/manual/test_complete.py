"""Every key, route, metric and command has a heading in the manual, or a row under one."""

import ast
import re
from functools import cache

import click
import httpx
import pytest

from playsmart_gateway import dialects
from playsmart_gateway.app import create_app
from playsmart_gateway.cli import commands
from playsmart_gateway.config import Auth, Config, Journal
from playsmart_gateway.errors import Unauthenticated
from playsmart_gateway.manual import CHAPTERS, headings, read
from playsmart_gateway.openapi.document import document
from playsmart_gateway.serve.worker_ops import create_worker_app
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stream.source import SourceState
from tests import ROOT
from tests.manual.blocks import ALL
from tests.manual.messages import files, nodes
from tests.stream.fake_source import FakeSource
from tests.stream.pipeline import make_worker
from tests.support.in_process import in_process
from tests.support.keys import KEYS
from tests.support.process import SECRET
from tests.support.reasons import every_reason, kinds_of_refusals

PIECES = [piece for dialect in dialects.ALL for piece in dialect.pieces()]
CONSOLE = (*("/dashboard", "/catalogue", "/dead-letters", "/inspector", "/demo", "/manual/{name}"),)
"""Routes that the OpenAPI document leaves out, and people open; their files and data apart."""


@cache
def named(reference: str) -> frozenset[str]:
    """The code in headings and in the first cells of tables of a chapter or section."""
    text = read(reference)
    titles = [each.title for each in headings(text)]
    cells = [re.split(r"(?<!\\) \| ", line)[0] for line in text.splitlines() if line[:2] == "| "]
    return frozenset(code for each in (*titles, *cells) for code in re.findall(r"`([^`]+)`", each))


@cache
def paths() -> frozenset[str]:
    """The paths in headings and first cells, without methods, queries and names of parameters."""
    codes = {code for chapter in CHAPTERS for code in named(chapter)}
    titles = {each.title for chapter in CHAPTERS for each in headings(read(chapter))}
    found = re.findall(r"(?:GET|POST) (/[^\s?]*)", " ".join(codes | titles))
    return frozenset(_plain(path) for path in found)


def _plain(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


@pytest.mark.parametrize(
    ("section", "key"), sorted({(section, field.encode_name) for section, field in KEYS})
)
def test_every_key_has_a_row_under_the_heading_of_its_section(section: str, key: str) -> None:
    title = next(each for each in headings(read("configuration")) if each.title == section)
    assert key in named(f"configuration#{title.anchor}")


def test_no_row_is_of_a_key_that_is_not_there() -> None:
    keys = {(section, field.encode_name) for section, field in KEYS}
    for each in headings(read("configuration")):
        if each.level == 2 and each.title not in ("The file", "The environment"):
            for key in named(f"configuration#{each.anchor}"):
                assert (each.title, key) in keys


@pytest.mark.parametrize("path", [*document(PIECES)["paths"], *CONSOLE])
def test_every_route_has_a_row(path: str) -> None:
    plain = _plain(path)
    assert plain in paths() or re.sub(r"^/v[0-3]", "", plain) in paths()


async def test_every_metric_has_a_row_and_every_row_a_metric() -> None:
    config = Config(auth=Auth(secret=SECRET), journal=Journal(enabled=False))
    async with in_process(create_app(config, sink=MemorySink())) as client:
        told = families((await client.get("/metrics")).text)
    rows = {re.sub("{.*}", "", code) for code in named("operations#every-metric")}
    assert told == {row for row in rows if row.startswith("playsmart_")}


async def test_every_metric_of_a_worker_has_a_row() -> None:
    worker = make_worker(FakeSource(), MemorySink())
    worker.state = SourceState(lag=1, ack_pending=1, redelivered=1)
    transport = httpx.ASGITransport(create_worker_app(worker))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        assert families((await client.get("/metrics")).text) == {
            code for code in named("growing") if code.startswith("playsmart_worker_")
        }


def test_every_reason_why_a_request_is_refused_has_a_row() -> None:
    rows = read("operations#why-requests-are-refused").splitlines()
    columns = [line.split(" | ") for line in rows if line.startswith("| `")]
    told = {word: status for first, status, _ in columns for word in re.findall("`(.+?)`", first)}
    wanted = {reason: str(status) for reason, status in every_reason()}
    assert told == wanted


def families(exposition: str) -> set[str]:
    """The names of our metrics as Prometheus has them."""
    return set(re.findall(r"^# TYPE (playsmart_\w+) ", exposition, re.MULTILINE))


@pytest.mark.parametrize("name", commands.list_commands(click.Context(commands)))
def test_every_command_has_a_row(name: str) -> None:
    assert name in {code.split()[0] for code in named("data#every-command")}


def test_every_command_in_a_row_is_there() -> None:
    there = set(commands.list_commands(click.Context(commands)))
    assert {code.split()[0] for code in named("data#every-command")} <= there


def test_every_target_of_make_is_named_in_the_tutorial() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    told = read("tutorial#the-targets-of-make") + "".join(each.text for each in ALL)
    assert [each for each in targets if each != "help" and each not in told] == []


def test_every_cause_is_given_somewhere_and_each_that_is_given_is_known() -> None:
    kinds = {kind.__name__: kind for kind in kinds_of_refusals()}
    given: set[tuple[str, str]] = set()
    for call in (node for file in files([""]) for node in nodes(file)):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        values = [each.value for each in call.keywords if each.arg == "cause"]
        if name == "_invalid":  # of the tokens, which says the cause first
            name, values = Unauthenticated.__name__, call.args[:1]
        tag = kinds[name].tag if name in kinds else ""  # one that is chosen, or made by its class
        parts = [part for value in values for part in ast.walk(value)]
        given |= {(tag, str(each.value)) for each in parts if isinstance(each, ast.Constant)}
    known = {(kind.tag, cause) for kind in kinds.values() for cause in kind.causes}
    causes = {cause for _, cause in known}
    assert {(tag, cause) for tag, cause in given if tag and cause} <= known
    assert {cause for _, cause in given if cause} == causes
