"""Rendering off the event loop, in processes that can be abandoned."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from playsmart_gateway.dialects.teak.renderer import (
    COMMAND,
    MAX_WAITING,
    Renderer,
)
from playsmart_gateway.dialects.teak.templates import MAX_TEXT_LENGTH
from tests.support.polling import until

pytestmark = pytest.mark.process

TEMPLATE = "teak1:///{{ name }}"


@asynccontextmanager
async def rendering(
    command: Sequence[str] = COMMAND, *, patience_seconds: float = 60.0
) -> AsyncIterator[Renderer]:
    renderer = Renderer(command=command, patience_seconds=patience_seconds)
    try:
        yield renderer
    finally:
        renderer.close()


def children() -> set[int]:
    pid = os.getpid()
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended meanwhile
            found |= {int(each) for each in (task / "children").read_text().split()}
    return found


def files_of(pid: int) -> set[str]:
    return {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


ANSWERS = "import sys; print(flush=True)\nfor line in sys.stdin: "


async def test_a_template_is_rendered_in_another_process() -> None:
    before = children()
    async with rendering() as renderer:
        assert children() == before, "none before there is something to render"
        assert await renderer.render("teak1:///x", {}) == "teak1:///x"
        assert children() == before, "none for a link without a template"
        for name in ("Ada", "Söhne", "x" * (MAX_TEXT_LENGTH - 20)):
            assert await renderer.render(TEMPLATE, {"name": name}) == f"teak1:///{name}"
        (process,) = children() - before
        assert await renderer.render("{{ a | nope }}", {}) == "{{ a | nope }}"
        assert children() - before == {process}, "the same one for all"
    assert children() == before


async def test_the_process_has_no_file_of_the_gateway_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLAYSMART_AUTH__SECRET", "a secret")
    before = children()
    with (tmp_path / "journal").open("wb") as journal:
        os.set_inheritable(journal.fileno(), True)
        async with rendering() as renderer:
            await renderer.render(TEMPLATE, {})
            (process,) = children() - before
            files = files_of(process)
            assert str(tmp_path / "journal") not in files
            assert sum(each.startswith("socket:") for each in files) == 1
            assert b"a secret" not in environment_of(process)


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(600)",
        ANSWERS + "sum(range(10**15))",
        ANSWERS + "import time; time.sleep(600)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ],
)
async def test_a_process_that_does_not_answer_is_killed_and_the_link_is_as_it_is(
    program: str,
) -> None:
    before = children()
    async with rendering(python(program), patience_seconds=0.5) as renderer:
        assert await renderer.render(TEMPLATE, {"name": "Ada"}) == TEMPLATE
    assert children() == before


@pytest.mark.parametrize("program", ["", "print()", ANSWERS + "sys.exit()", ANSWERS + "print('x')"])
async def test_a_process_that_ends_or_says_nonsense_is_replaced(program: str) -> None:
    async with rendering(python(program)) as renderer:
        for _ in range(3):
            assert await renderer.render(TEMPLATE, {"name": "Ada"}) == TEMPLATE


async def test_a_command_that_is_not_there_costs_the_links_alone() -> None:
    async with rendering(["/nowhere/python"]) as renderer:
        assert await renderer.render(TEMPLATE, {"name": "Ada"}) == TEMPLATE


async def test_after_a_hole_the_next_template_is_rendered(tmp_path: Path) -> None:
    """The first process hangs, the second does not."""
    flag = tmp_path / "hung"
    program = (
        "import pathlib, time; from playsmart_gateway.dialects.teak import templates\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "def hang(*_): flag.touch(); 0.5 in range(10**18)\n"
        "if not flag.exists(): templates.render = hang\n"
        "templates.main()"
    )
    async with rendering(python(program)) as renderer:
        assert await renderer.render(TEMPLATE, {"name": "Ada"}) == TEMPLATE
        assert await renderer.render(TEMPLATE, {"name": "Ada"}) == "teak1:///Ada"


async def test_many_that_wait_are_answered_as_they_are_beyond_a_number(tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = (
        "import pathlib, time; from playsmart_gateway.dialects.teak import templates\n"
        f"go = pathlib.Path({str(go)!r})\n"
        "def wait(*_):\n while not go.exists(): time.sleep(0.01)\n return 'rendered'\n"
        "templates.render = wait; templates.main()"
    )
    before = children()
    async with rendering(python(program)) as renderer:
        asked = [
            asyncio.create_task(renderer.render(TEMPLATE, {"n": 1})) for _ in range(MAX_WAITING)
        ]
        await asyncio.sleep(0)
        for _ in range(10):
            assert await renderer.render(TEMPLATE, {}) == TEMPLATE
        assert len(children() - before) <= 2
        go.touch()
        assert set(await asyncio.gather(*asked)) == {"rendered"}


async def test_the_loop_goes_on_while_a_template_is_rendered() -> None:
    async with rendering(python(ANSWERS + "sum(range(10**15))"), patience_seconds=2) as renderer:
        asked = asyncio.create_task(renderer.render(TEMPLATE, {}))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10


async def test_closing_gives_up_what_is_being_rendered() -> None:
    renderer = Renderer(command=python(ANSWERS + "sum(range(10**15))"), patience_seconds=600)
    asked = [asyncio.create_task(renderer.render(TEMPLATE, {})) for _ in range(5)]
    await asyncio.sleep(0.2)
    renderer.close()
    assert {await each for each in asked if not each.cancelled()} <= {TEMPLATE}
    assert await renderer.render(TEMPLATE, {}) == TEMPLATE


async def test_processes_end_with_a_gateway_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, signal\n"
        "from playsmart_gateway.dialects.teak.renderer import Renderer\n"
        "async def main():\n"
        "    await Renderer().render('{{ a }}', {})\n"
        "    print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "    for task in os.listdir('/proc/self/task'):\n"
        "        print(open(f'/proc/self/task/{task}/children').read(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(*python(program), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    (child,) = {int(each) for each in out.split()}

    async def gone() -> bool:
        return not _runs(child)

    await until(gone, "the process of the dead one ends", seconds=60)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_library_is_imported_where_there_are_templates_and_nowhere_else() -> None:
    program = (
        "import sys; from playsmart_gateway.dialects.teak import apps, endpoints;"
        "apps.read_apps([]); print('liquid' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"
