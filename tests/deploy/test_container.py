"""The container file: its steps are done here, but for the images that it starts from."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from playsmart_gateway.config import Buffer, Server
from playsmart_gateway.deploy import read_file
from tests import ROOT
from tests.support.elsewhere import Elsewhere
from tests.support.process import SECRET, RunningGateway

pytestmark = pytest.mark.process


class Instruction(NamedTuple):
    name: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The instructions of each image; one begins with FROM."""
    found: list[list[Instruction]] = []
    for line in read_file("container").replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        if line and name != "#":
            found[-1].append(Instruction(name, rest.strip()))
    return found


BUILD, IMAGE = stages()


def given(stage: list[Instruction], name: str) -> list[str]:
    return [rest for each, rest in stage if each == name]


def last(name: str) -> str:
    return given(IMAGE, name)[-1]


def test_it_begins_twice_with_the_same_python_that_the_package_is_for() -> None:
    (first,), (second,) = given(BUILD, "FROM"), given(IMAGE, "FROM")
    assert first == f"{second} AS build"
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", second)
    assert version
    assert f"Python :: {version[1]}" in (ROOT / "pyproject.toml").read_text()


def test_every_instruction_is_one_that_there_is_and_in_its_place() -> None:
    assert [name for name, _ in BUILD] == ["FROM", "COPY", "COPY", "ARG", "RUN"]
    assert [name for name, _ in IMAGE] == [
        "FROM", "COPY", "COPY", "RUN", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    ]  # fmt: skip


def test_it_runs_our_program_itself_as_nobody_in_particular() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["/opt/playsmart/bin/playsmart-gateway"]
    assert json.loads(last("CMD"))[0] == "serve"
    user, group = map(int, last("USER").split(":"))
    assert min(user, group) > 1_000
    (made,) = given(IMAGE, "RUN")
    assert made == f"install -d -o {user} -g {group} -m 0700 {last('WORKDIR')}"
    assert last("STOPSIGNAL") == "SIGTERM"
    assert last("WORKDIR") in json.loads(last("VOLUME"))
    assert int(last("EXPOSE")) == Server().port
    (pause,) = re.findall(r"--stop-timeout (\d+)", read_file("container"))
    assert int(pause) > Server().drain_timeout_seconds
    assert Buffer().max_bytes < 1 << 30  # what examples give the container


class Image:
    """What the container file makes, below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for copied in given(BUILD, "COPY"):
            *sources, target = copied.split()
            for source in sources:
                self._copy(ROOT / source, self.here(target), into=target.endswith("/"))
        venv, install = self._steps()
        assert venv == ["python", "-m", "venv", "/opt/playsmart"]
        assert install[:2] == ["/opt/playsmart/bin/pip", "install"]
        self.there = Elsewhere(self.here("/opt/playsmart"))
        self.there.install(*install[2:])
        (built, _), config = (copied.split()[-2:] for copied in given(IMAGE, "COPY"))
        assert built == "/opt/playsmart"  # where it is already
        self._copy(root / "beside" / config[0], self.here(config[1]), into=False)
        self.here(last("WORKDIR")).mkdir(parents=True, mode=0o700)

    def here(self, text: str) -> Path:
        return self.root / text.lstrip("/")

    def mapped(self, text: str) -> str:
        return re.sub(r"(?<![\w.:/])/(src|opt|etc|var)/", rf"{self.root}/\1/", text)

    def _copy(self, source: Path, target: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            return
        (target if into else target.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _steps(self) -> Iterator[list[str]]:
        defaults = dict(each.split("=", 1) for each in given(BUILD, "ARG"))
        (done,) = given(BUILD, "RUN")
        for step in done.split(" && "):
            words = [
                re.sub(r"^\$(\w+)$", lambda name: defaults[name[1]], word)
                for word in shlex.split(step)
            ]
            install = "install" in words
            yield [self.mapped(f"{word}/")[:-1] if install and i > 1 else word
                   for i, word in enumerate(words)]  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install '.[dev]'")
    root = tmp_path_factory.mktemp("image")
    (root / "beside").mkdir()
    (root / "beside" / "config.toml").write_text("[server]\nport = 8000\n")
    return Image(root)


def test_its_steps_build_what_serves_and_its_health_check_tells(image: Image) -> None:
    (program,) = json.loads(last("ENTRYPOINT"))
    assert Path(image.mapped(program)).is_file()
    command, *arguments, option, host = map(image.mapped, json.loads(last("CMD")))
    assert (command, option, host) == ("serve", "--host", "0.0.0.0")  # noqa: S104
    running = RunningGateway(
        image.here(last("WORKDIR")),
        {"PLAYSMART_AUTH__SECRET": SECRET},
        *arguments,
        start=image.there.start,  # on loopback, where tests stay
    )
    try:
        options, _, check = last("HEALTHCHECK").partition(" CMD ")
        assert "--start-period" in options
        python, *rest = json.loads(check)
        probe = [
            image.mapped(python),
            *(each.replace(":8000", f":{running.port}") for each in rest),
        ]
        assert subprocess.run(probe, check=False).returncode == 0
        assert running.stop() == 0
        assert subprocess.run(probe, capture_output=True, check=False).returncode != 0
        assert (running.folder / "data" / "playsmart.db").is_file()
    finally:
        running.close()


def test_nothing_of_the_checkout_but_the_package_is_copied(image: Image) -> None:
    found = {each.name for each in image.here("/src").iterdir()}
    assert found == {"pyproject.toml", "README.md", "playsmart_gateway"}


def test_the_extras_that_it_names_are_there() -> None:
    (extras,) = re.findall(r"--build-arg PROJECT='/src\[([a-z,]+)\]'", read_file("container"))
    assert all(
        f"\n{each} = [" in (ROOT / "pyproject.toml").read_text() for each in extras.split(",")
    )
