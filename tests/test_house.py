"""The rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

PACKAGE = ROOT / "playsmart_gateway"


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
