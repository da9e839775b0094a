"""The rules of the house that no linter knows."""

import ast

from tests import ROOT


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
        and not any(each.name.startswith("test_") for each in node.names)  # a suite, held again
    ]
    assert found == []
