"""What is handed on: a source archive and a wheel, installed elsewhere and serving there."""

import importlib.util
import json
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_string
from functools import partial
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

import pytest

from playsmart_gateway import __version__
from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.manual import CHAPTERS
from tests import ROOT
from tests.support.elsewhere import PIP, Elsewhere, run
from tests.support.process import SECRET, RunningGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

PACKAGE = ROOT / "playsmart_gateway"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPERATOR = "an-operators-token-for-tests"
PLAYER = "device-abc-123"


def files(folder: Path) -> set[str]:
    """The files that are kept below a folder, relative to the checkout."""
    found = (each.relative_to(ROOT) for each in folder.rglob("*") if each.is_file())
    return {each.as_posix() for each in found if "__pycache__" not in each.parts}


class Built:
    """A source archive, and the wheel that was built from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.wheel,) = folder.glob("*.whl")
        (self.source,) = folder.glob("*.tar.gz")

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return {name for name in archive.namelist() if ".dist-info/" not in name}

    def in_source(self) -> set[str]:
        with tarfile.open(self.source) as archive:
            return {each.name.partition("/")[2] for each in archive if each.isfile()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both, without the internet: what builds them is installed with what tests need."""
    for module in ("build", "hatchling"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install '.[dev]'")
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    return Built(folder)


@pytest.fixture(scope="module")
def elsewhere(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """An environment in which the wheel is installed."""
    there = Elsewhere(tmp_path_factory.mktemp("elsewhere") / "venv")
    there.install(built.wheel)
    return there


@pytest.fixture(scope="module")
def served(
    elsewhere: Elsewhere, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    settings = {"PLAYSMART_AUTH__SECRET": SECRET, "PLAYSMART_OPERATOR__TOKEN": OPERATOR}
    running = RunningGateway(tmp_path_factory.mktemp("served"), settings, start=elsewhere.start)
    yield running
    running.close()


# --- what is in them ---


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: Built) -> None:
    found = built.in_wheel()
    assert found == files(PACKAGE)
    kinds = {PurePosixPath(name).suffix for name in found}
    assert kinds >= {".py", ".sql", ".md", ".html", ".css", ".js", ".svg", ".txt", ".typed"}


def test_the_source_archive_is_the_checkout_without_what_somebody_keeps_beside_it(
    built: Built,
) -> None:
    found = built.in_source()
    assert found >= files(PACKAGE) | files(ROOT / "tests") | files(ROOT / ".ci")
    assert {name.partition("/")[0] for name in found} == {
        ".ci", ".gitignore", "Makefile", "PKG-INFO", "README.md", "config.example.toml",
        "playsmart_gateway", "pyproject.toml", "tests",
    }  # fmt: skip


def test_the_metadata_names_licence_versions_and_no_address(elsewhere: Elsewhere) -> None:
    (found,) = distributions(name="playsmart-gateway", path=[str(elsewhere.packages)])
    told = message_from_string(found.read_text("METADATA") or "")
    assert (told["License-Expression"], told["Version"]) == ("MIT", __version__)
    assert told["Requires-Python"] == PROJECT["requires-python"]
    assert told["Description-Content-Type"] == "text/markdown"
    assert str(told.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()
    assert not {"Home-page", "Project-URL", "Download-URL", "Author-email"} & set(told)
    assert set(told.get_all("Provides-Extra") or ()) == set(PROJECT["optional-dependencies"])
    (text,) = [each for each in found.files or () if "licenses" in each.parts]
    assert text.read_text() == (PACKAGE / "LICENSE").read_text()
    assert text.read_text().startswith("MIT License\n")


# --- what they do ---


def test_what_the_wheel_installs_takes_events_and_stores_them(served: RunningGateway) -> None:
    answer = served.post(make_upload(PLAYER, *[make_event()] * 3), sub=PLAYER)
    assert (answer.status_code, answer.json()["message"]) == (202, "accepted:3 buffered:3")
    assert served.settle()["stored"] == 3
    assert [tuple(row) for row in served.select("SELECT count(*) FROM events")] == [(3,)]


@pytest.mark.parametrize("path", ["/docs", "/dashboard", "/inspector", "/manual"])
def test_its_pages_come_with_all_that_they_load(served: RunningGateway, path: str) -> None:
    who = ("operator", OPERATOR)
    page = served.client.get(path, auth=who, headers={"accept": "text/html"}, follow_redirects=True)
    assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
    loaded = re.findall(r"""<(?:script|link|img)\b[^>]*?(?:src|href)=["']([^"']+)""", page.text)
    ours = [each for each in loaded if not each.startswith("data:")]
    assert ours
    for each in ours:
        assert served.client.get(page.url.join(each), auth=who).status_code == 200, each


def test_its_manual_is_whole(served: RunningGateway) -> None:
    for name in CHAPTERS:
        assert served.client.get(f"/manual/{name}").status_code == 200


def test_its_clients_are_whole(elsewhere: Elsewhere, tmp_path: Path) -> None:
    program = elsewhere.folder / "bin" / "playsmart-gateway"
    for name, client in CLIENTS.items():
        run(program, "client", name, "--out", name, folder=tmp_path)
        for each in client.files:
            assert (tmp_path / name / each).read_bytes() == client.read(each)


def test_its_files_are_those_of_the_wheel(elsewhere: Elsewhere, tmp_path: Path) -> None:
    code = "import json, playsmart_gateway as p; print(json.dumps(p.__file__))"
    told = run(elsewhere.folder / "bin" / "python", "-c", code, folder=tmp_path)
    assert Path(json.loads(told)).parent == elsewhere.packages / "playsmart_gateway"


def test_the_source_archive_can_be_installed_by_itself(built: Built, tmp_path: Path) -> None:
    there = Elsewhere(tmp_path / "venv")
    found = there.install(built.source)
    installed = {each.as_posix() for each in found.files or () if each.parts[0] == PACKAGE.name}
    assert installed == files(PACKAGE)
    program = there.folder / "bin" / "playsmart-gateway"
    assert __version__ in run(program, "--version", folder=tmp_path)


# --- what the words say ---

WORDS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in [ROOT / "README.md", *PACKAGE.rglob("*.md"), *PACKAGE.rglob("*.py")]
}
REQUIREMENT = re.compile(r"pip install (?:-\S+ )*'([^']*)'")
EXTRAS = {
    (name, extras.replace("{extra}", "nats"))
    for name, text in WORDS.items()
    for extras in REQUIREMENT.findall(text)
}


def test_extras_are_installed_from_a_checkout_wherever_words_say_how() -> None:
    assert {name for name, _ in EXTRAS} >= {
        "playsmart_gateway/errors.py",
        "playsmart_gateway/manual/data.md",
        "playsmart_gateway/manual/growing.md",
    }
    assert not any("pip install 'playsmart" in text for text in WORDS.values())
    for name, written in EXTRAS:
        match = re.fullmatch(r"\.\[([a-z,]+)\]", written)
        assert match, f"{name}: pip install '{written}'"
        assert set(match[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_pip_takes_what_is_written_in_a_checkout() -> None:
    extras = sorted({each for _, text in EXTRAS for each in text.strip(".[]").split(",")})
    install = partial(run, *PIP, "install", "--dry-run", "--no-index", "--no-build-isolation")
    install(f".[{','.join(extras)}]", folder=ROOT)
