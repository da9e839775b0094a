"""Dependencies: bounds that were tested, and versions of all of them that were tested together."""

import ast
import tomllib
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(each) for each in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(each) for each in needed]
    for name, needed in PROJECT["optional-dependencies"].items()
    if name != "dev"
}
ALL = [*CORE, *(each for needed in EXTRAS.values() for each in needed)]
NOT_IMPORTED = {
    "tzdata": "the standard library reads it",
    "plotly": "its JavaScript is served",
    "flask-swagger-ui": "its JavaScript is served",
}


def constraints() -> dict[str, str]:
    lines = (ROOT / "playsmart_gateway" / "constraints.txt").read_text().splitlines()
    pairs = [line.partition("==") for line in lines]
    assert all(operator for _, operator, _ in pairs)
    return {canonicalize_name(name): version for name, _, version in pairs}


def needed_by(requirement: Requirement, found: set[str]) -> set[str]:
    """Everything that is installed for a requirement, itself included."""
    key = f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
    if key in found:
        return found
    found.add(key)
    for text in distribution(requirement.name).requires or ():
        inner = Requirement(text)
        contexts = [{"extra": extra} for extra in (*requirement.extras, "")]
        if inner.marker is None or any(map(inner.marker.evaluate, contexts)):
            needed_by(inner, found)
    return found


def test_every_dependency_has_a_tested_upper_bound() -> None:
    for requirement in ALL:
        assert any(each.operator in ("<", "==", "~=") for each in requirement.specifier), (
            requirement
        )


def test_the_constraints_satisfy_the_bounds() -> None:
    pinned = constraints()
    for requirement in ALL:
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_the_constraints_cover_everything_that_is_installed_with_the_gateway() -> None:
    found: set[str] = set()
    for requirement in ALL:
        needed_by(requirement, found)
    names = {canonicalize_name(each.partition("[")[0]) for each in found}
    assert len(names) > len(ALL)
    assert names - constraints().keys() == set()


def test_every_dependency_is_used() -> None:
    imported: set[str] = set()
    for path in (ROOT / "playsmart_gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    used = {
        canonicalize_name(name)
        for module, names in packages_distributions().items()
        if module in imported
        for name in names
    }
    unused = {canonicalize_name(each.name) for each in CORE} - used
    assert unused == NOT_IMPORTED.keys()
