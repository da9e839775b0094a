"""The manual as it lies there: chapters, headings, links."""

import itertools
import re
from pathlib import Path

import pytest

from playsmart_gateway import manual
from playsmart_gateway.manual import CHAPTERS, NotInManual, headings, read
from tests import ROOT

FOLDER = Path(manual.__file__).parent
README = (ROOT / "README.md").read_text("utf-8")
LINK = re.compile(r"\]\(\s*([^)]+?)\s*\)")


def links(text: str) -> list[str]:
    """The targets of all links outside blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+", "", target) for target in LINK.findall(prose)]


def test_every_file_is_a_chapter_and_every_chapter_a_file() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_one_title_and_levels_without_gaps(name: str) -> None:
    found = headings(read(name))
    assert [each.level for each in found].count(1) == 1
    assert found[0].level == 1
    assert found[0].line == 0
    for above, below in itertools.pairwise(found):
        assert below.level <= above.level + 1
    assert len({each.anchor for each in found}) == len(found)


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_links_of_a_chapter_lead_to_headings_that_are_there(name: str) -> None:
    for target in links(read(name)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        assert read(f"{file or name}#{anchor}" if anchor else file), target


def test_the_readme_leads_to_every_chapter() -> None:
    targets = {target for target in links(README) if not target.startswith("https://")}
    for target in targets:
        file, _, anchor = target.partition("#")
        assert (ROOT / file).is_file(), target
        if file.endswith(".md"):
            assert read(Path(file).name + (f"#{anchor}" if anchor else ""))
    assert {Path(target.partition("#")[0]).stem for target in targets} >= set(CHAPTERS)


def test_the_readme_is_short_and_shows_no_image() -> None:
    assert len(README.splitlines()) <= 200
    assert "![" not in README
    assert "<img" not in README


def test_a_section_ends_where_the_next_of_its_level_begins() -> None:
    section = read("growing.md#workers")
    assert section.startswith("## Workers\n")
    assert section == read("growing#workers")
    assert "## PostgreSQL" not in section


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("grow", "no such chapter; there are tutorial, "),
        ("", "no such chapter"),
        ("../cli/tail.py", "no such chapter"),
        ("growing#none", "no such heading; it has which-step-and-when, "),
    ],
)
def test_what_is_not_in_the_manual_is_told_with_what_is(reference: str, told: str) -> None:
    with pytest.raises(NotInManual, match=told):
        read(reference)


@pytest.mark.parametrize("name", ["README", *CHAPTERS])
def test_what_is_named_of_the_project_is_there(name: str) -> None:
    text = README if name == "README" else read(name)
    for path in re.findall(r"`((?:tests|playsmart_gateway)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text):
        assert (ROOT / path).exists() or (ROOT / "playsmart_gateway" / path).exists(), path


def test_every_package_is_told_in_the_decisions() -> None:
    told = set(re.findall(r"`(\w+)`", read("decisions#the-path-of-an-event")))
    packages = {file.parent.name for file in FOLDER.parent.glob("*/__init__.py")}
    assert packages <= told


def test_headings_in_blocks_are_none_and_equal_ones_are_numbered() -> None:
    text = "# A b, `c_d`!\n```sh\n# no\n```\n## Same\n## Same\n"
    assert [each.anchor for each in headings(text)] == ["a-b-c_d", "same", "same-1"]
