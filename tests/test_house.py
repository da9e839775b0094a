"""The rules of the house that no linter knows."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playsmart_gateway import clients
from playsmart_gateway.serve.connection import Protocol
from playsmart_gateway.serve.cycle import Cycle, Flow
from playsmart_gateway.serve.server import Server
from tests import ROOT

PACKAGE = ROOT / "playsmart_gateway"


TOP_LEVEL = {
    "Makefile", "README.md", "config.example.toml", "playsmart_gateway", "pyproject.toml", "tests",
}  # fmt: skip


def test_nothing_else_lies_beside_the_package() -> None:
    """A file that was fetched beside it and added by mistake would stay in the history for ever."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("these files are no checkout of git")
    listed = subprocess.check_output([git, "ls-files"], cwd=ROOT, text=True)
    found = {name.partition("/")[0] for name in listed.splitlines()}
    assert {name for name in found if not name.startswith(".")} == TOP_LEVEL


def test_no_test_imports_a_test() -> None:
    """What several tests share is in ``tests/support``, or beside them in a module of its own."""
    found = [
        f"{path.relative_to(ROOT)} imports {node.module}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and any(
            part.startswith("test_") or part == "conftest"
            for part in [*(node.module or "").split("."), *(each.name for each in node.names)]
        )
    ]
    assert found == []


SOURCES = {"playsmart", "teak", "lynes"}
NO_SOURCES = {  # where these words mean something else, by the path below the package
    "config/__init__.py": "the name of the stream",
    "dialects/lynes/descriptor.py": "its name",
    "dialects/lynes/section.py": "the name of its table",
    "dialects/playsmart/descriptor.py": "its name",
    "dialects/teak/descriptor.py": "its name",
    "dialects/teak/section.py": "the name of its table",
    "manual/__init__.py": "chapters",
    "stream/options.py": "the name of the stream",
}


def literals(tree: ast.AST) -> Iterator[str]:
    """The texts in a module, pieces of f-strings among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_nobody_but_events_spells_a_source() -> None:
    """By its constant it can be found, and a fourth dialect forgets no place."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.startswith("events/") or name in NO_SOURCES:
            continue
        spelt = [
            text
            for text in literals(ast.parse(path.read_text()))
            if text in SOURCES or any(f"'{each}'" in text for each in SOURCES)
        ]
        if spelt:
            found[name] = spelt
    assert not found, "take PLAYSMART, TEAK or LYNES from events.batch"


def test_nobody_but_events_knows_how_many_ids_a_batch_has() -> None:
    """``first_event_id``, ``last_event_id`` and, in SQL, ``MAX_EVENTS_PER_BATCH`` say it."""
    computed = re.compile(r"(?:batch(?:_id)?|event_id)\s*(?:\*|//?)\s*25[56]")
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not str(path.relative_to(PACKAGE)).startswith("events/")
        and computed.search("\n".join(code_of(path)))
    ]
    assert found == []


def code_of(path: Path) -> list[str]:
    """The lines of a module without its docstring, which may give an example."""
    tree = ast.parse(path.read_text())
    first = tree.body[0] if tree.body else None
    lines = path.read_text().splitlines()
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return lines[first.end_lineno :]
    return lines


MAX_LINES = 400
MAX_CLIENT_LINES = 640
CLIENTS = {client.folder / each for client in clients.CLIENTS.values() for each in client.files}
"""What is copied into a game is few files, so that they can be copied."""
MAX_PARAMETERS = 8


def test_no_module_is_longer_than_one_reads_in_one_go() -> None:
    lines = {path: path.read_text().count("\n") for path in PACKAGE.rglob("*.py")}
    most = dict.fromkeys(lines, MAX_LINES) | dict.fromkeys(CLIENTS, MAX_CLIENT_LINES)
    assert {path: count for path, count in lines.items() if count > most[path]} == {}


def test_a_client_needs_nothing_that_is_not_in_its_file() -> None:
    for path in CLIENTS:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text())):
                names = [each.name for each in getattr(node, "names", [])]
                if isinstance(node, ast.ImportFrom):
                    assert not node.level
                    names = [node.module or ""]
                if isinstance(node, ast.Import | ast.ImportFrom):
                    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_nobody_is_made_of_more_parts_than_one_remembers() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {made.name}"
        for path in PACKAGE.rglob("*.py")
        for made in ast.walk(ast.parse(path.read_text()))
        if isinstance(made, ast.ClassDef)
        for method in made.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
        if len(method.args.args) + len(method.args.kwonlyargs) - 1 > MAX_PARAMETERS
    }
    assert found == set()


def test_one_module_alone_touches_private_parts_of_nats() -> None:
    """With the versions that it was tested with as bounds: see ``pyproject.toml``."""
    private = re.compile(r"\b(?:client|subscription|nc)\._[a-z]")
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if private.search(path.read_text())
    }
    assert found == {"stream/connection.py"}


def test_one_module_alone_touches_private_parts_of_uvicorn() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\buvicorn\._|\buvicorn\.protocols|\bserver\._[a-z]", path.read_text())
    }
    assert found == {"serve/uvicorn_parts.py"}
    private = {
        name
        for kind in (Server, Protocol, Cycle, Flow)
        for base in kind.__mro__
        if base.__module__.startswith("uvicorn")
        for name in vars(base)
        if name.startswith("_") and not name.startswith("__")
    }
    for path in (PACKAGE / "serve").glob("*.py"):
        used = set(re.findall(r"\bself\.(_[a-z]\w*)", path.read_text()))
        assert not used & private, path
