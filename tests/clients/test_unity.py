"""The client for Unity under Mono, and its layer for Unity beside a stand-in for Unity."""

import plistlib
import re
import shutil
from pathlib import Path

import pytest

from playsmart_gateway.clients import CLIENTS
from tests.clients.languages import (
    hold_to_certificates,
    hold_to_locks,
    hold_to_three_events,
    not_passed,
    shell,
)
from tests.clients.scripted import scripted_gateway
from tests.manual.blocks import block

CLIENT = CLIENTS["unity"]
HERE = Path(__file__).parent / "unity"
CHECKS = re.findall(r'^ +Check\("(.+)", ', (HERE / "Checks.cs").read_text("utf-8"), re.MULTILINE)
UNITY = "-define:UNITY_5_3_OR_NEWER,UNITY_ANDROID,UNITY_IOS"
TELLING = [
    "any-text", "gzip", "order", "sent-at-of-another-life", "clock-jump", "captive-portal",
    "answer-cut-off", "redirect-takes-no-token", "retry-after-503", "new-token", "poison-422",
    "killed-while-tracking", "torn-line", "another-player", "opt-out", "full-disk",
    "folder-deleted", "sampling",
]  # fmt: skip
"""Cases of conformance in which it would go wrong first."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("mcs") is None, reason="there is no mcs; apt: mono-mcs"),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the program of the checks says of each; the manual's script is compiled with it."""
    folder = tmp_path_factory.mktemp("unity")
    CLIENT.write(folder)
    for stand_in in HERE.iterdir():
        shutil.copy(stand_in, folder)
    script = block("client-unity", "csharp", "using System.Collections")
    (folder / "Events.cs").write_text(script)
    shell(f"mcs -langversion:7 -warnaserror {UNITY} -out:checks.exe *.cs", folder)
    told = shell("mono --debug checks.exe", folder)
    return dict(line.split(": ", 1) for line in told.splitlines())


@pytest.mark.parametrize("name", CHECKS)
def test_checked_in_its_own_language(verdicts: dict[str, str], name: str) -> None:
    assert verdicts[name] == "ok"


def test_it_passes_the_cases_that_tell_most(adapter: list[str]) -> None:
    assert not_passed(adapter, TELLING, jobs=2) == []


def test_a_file_that_another_process_writes_is_left_to_it(
    adapter: list[str], tmp_path: Path
) -> None:
    hold_to_locks(adapter, tmp_path)


def test_only_a_gateway_whose_certificate_is_known_gets_anything(
    adapter: list[str], tmp_path: Path
) -> None:
    hold_to_certificates(adapter, tmp_path)


def test_nothing_is_found_by_its_name_which_a_build_might_strip() -> None:
    by_name = re.compile(
        r"System\.Reflection|\bdynamic\b|Expression<|Activator|typeof\(|JsonUtility|\w+\.Create\(\)"
    )
    sources = [name for name in CLIENT.files if name.endswith(".cs")]
    found = {name: by_name.findall(CLIENT.read(name).decode()) for name in sources}
    assert not any(found.values()), found


def test_the_program_of_the_manual_sends_what_it_tracks(tmp_path: Path) -> None:
    CLIENT.write(tmp_path / "playsmart")
    build, start = block("client-unity", "sh", "mcs").splitlines()
    with scripted_gateway() as gateway:
        gateway.script(202)
        program = block("client-unity", "csharp", "using System;")
        (tmp_path / "Game.cs").write_text(program.replace("http://127.0.0.1:8000", gateway.url))
        shell(build, tmp_path)
        shell(re.sub(r"\$\(.+\)", "token", start), tmp_path)
    hold_to_three_events(gateway)
    assert not [*tmp_path.glob("events/*")]


def test_what_is_told_of_privacy_is_what_the_store_is_told() -> None:
    told = plistlib.loads(CLIENT.read("PrivacyInfo.xcprivacy"))
    collected = [each["NSPrivacyCollectedDataType"] for each in told["NSPrivacyCollectedDataTypes"]]
    kinds = [each.removeprefix("NSPrivacyCollectedDataType") for each in collected]
    assert (told["NSPrivacyTracking"], kinds) == (False, ["UserID", "ProductInteraction"])
