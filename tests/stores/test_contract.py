"""The contracts are narrow, and who needs one asks for no more than that."""

import ast
from pathlib import Path

import pytest

import playsmart_gateway
from playsmart_gateway.stores import contract, readers

PACKAGE = Path(playsmart_gateway.__file__).parent
OF_THE_PIPELINE = {"EventSink", "Quarantining", "Rehearsing", "Replaceable", "Awarding"}
FEW = 6


def members(protocol: type) -> set[str]:
    return {
        name
        for name in vars(protocol)
        if name in ("__aenter__", "__aexit__") or not name.startswith("_")
    } | set(protocol.__annotations__)


NARROW = [
    each
    for module in (contract, readers)
    for each in vars(module).values()
    if isinstance(each, type)
    and each.__module__ == module.__name__
    and not set(each.__bases__) & {contract.EventSink, readers.EventReader}
]


def test_what_takes_events_has_five_members() -> None:
    assert members(contract.EventSink) == {"__aenter__", "__aexit__", "write", "bury", "sync"}


@pytest.mark.parametrize("protocol", NARROW, ids=lambda each: each.__name__)
def test_a_contract_has_few_members(protocol: type) -> None:
    assert 1 <= len(members(protocol)) <= FEW


def imported_from(module: str, path: Path) -> set[str]:
    return {
        name.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for name in node.names
    }


@pytest.mark.parametrize("path", sorted((PACKAGE / "pipeline").glob("*.py")), ids=lambda p: p.stem)
def test_the_pipeline_asks_for_no_database(path: Path) -> None:
    assert imported_from("playsmart_gateway.stores.contract", path) <= OF_THE_PIPELINE
    assert not imported_from("playsmart_gateway.stores.readers", path)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "dialects").rglob("*.py")), ids=lambda p: f"{p.parent.name}.{p.stem}"
)
def test_a_dialect_asks_for_no_more_than_it_uses(path: Path) -> None:
    wide = {"Store", "EventSink", "Upkeep"}
    assert not imported_from("playsmart_gateway.stores.contract", path) & wide
    if path.stem != "descriptor":  # which hands each its part
        assert not imported_from("playsmart_gateway.stores.readers", path) & {"Reader"}
