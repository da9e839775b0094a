"""The client for Godot: the one for Godot 3 runs, and that for Godot 4 is the same."""

import re
import shutil
from pathlib import Path

import pytest

from playsmart_gateway.clients import CLIENTS
from tests.clients.languages import (
    begun,
    hold_to_certificates,
    hold_to_three_events,
    not_passed,
    shell,
    track,
)
from tests.clients.scripted import Reply, scripted_gateway
from tests.manual.blocks import block

GODOT, GDLINT = shutil.which("godot3-server"), shutil.which("gdlint")
CLIENT = CLIENTS["godot"]
GODOT4, GODOT3 = CLIENT.files
HERE = Path(__file__).parent / "godot"
LAST_PART = "# --- what Godot 3 and 4 call differently\n"
IN_GODOT_3 = {
    "a twin for Godot 3.": "a twin for Godot 4.",
    ".is_empty()": ".empty()",
    "PackedByteArray": "PoolByteArray",
    ".to_utf8_buffer()": ".to_utf8()",
    ".unicode_at(": ".ord_at(",
    "TYPE_STRING, TYPE_STRING_NAME": "TYPE_STRING",
    "TYPE_FLOAT": "TYPE_REAL",
}
"""What Godot 4 calls in another way, in the part that the two clients have in common."""

TELLING = [
    "numbers", "any-text", "gzip", "order", "sent-at-of-another-life", "clock-jump",
    "sends-at-fifty", "captive-portal", "answer-cut-off", "redirect-takes-no-token",
    "retry-after-503", "new-token", "poison-422", "killed-while-tracking", "torn-line",
    "another-player", "opt-out", "full-disk", "bound-of-the-settings", "kill-switch", "sampling",
]  # fmt: skip
"""Cases of conformance in which it would go wrong first."""

process = pytest.mark.process
needs_godot = pytest.mark.skipif(GODOT is None, reason="there is no godot3-server")
needs_lint = pytest.mark.skipif(GDLINT is None, reason="there is no gdlint; pip: gdtoolkit")


def parts(file: str) -> tuple[str, str]:
    """The part of a client that both have in common, and the last one."""
    common, _, last = CLIENT.read(file).decode().partition(LAST_PART)
    return common, last


def functions(code: str) -> list[str]:
    return re.findall(r"^func (\w+\(.*\)):$", code, re.MULTILINE)


def at_home(command: str, folder: Path, **environment: str) -> str:
    """Run a line in a folder, which is the player's home as well; return what it printed."""
    return shell(command, folder, HOME=str(folder), XDG_DATA_HOME=str(folder), **environment)


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """The project of the manual, without a script of its own."""
    folder = tmp_path / "game"
    CLIENT.write(folder / "playsmart")
    (folder / "project.godot").write_text(block("client-godot", "ini"))
    (folder / "main.tscn").write_text(block("client-godot", "tscn"))
    return folder


def test_what_runs_in_godot_3_is_what_godot_4_gets() -> None:
    common = parts(GODOT4)[0]
    for name, in_godot_3 in IN_GODOT_3.items():
        assert name in common
        common = common.replace(name, in_godot_3)
    assert common == parts(GODOT3)[0]


def test_their_last_parts_have_the_same_functions_and_are_short() -> None:
    first, second = (functions(parts(each)[1]) for each in CLIENT.files)
    assert first == second
    assert max(len(parts(each)[1].splitlines()) for each in CLIENT.files) < 160


@process
@needs_lint
def test_it_is_gdscript_in_its_usual_form(tmp_path: Path) -> None:
    (tmp_path / "events.gd").write_text(block("client-godot", "gdscript", "extends Node\n\nconst"))
    files = f"{CLIENT.folder / GODOT4} {tmp_path}/events.gd"
    at_home(f"gdlint {files} && gdformat --check {files}", tmp_path)


@process
@needs_godot
def test_it_does_what_its_own_checks_ask_for(tmp_path: Path) -> None:
    for each in (HERE / "checks.gd", CLIENT.folder / GODOT3):
        shutil.copy(each, tmp_path)
    (tmp_path / "project.godot").write_text("config_version=4\n")
    told = at_home("godot3-server --path . --script checks.gd", tmp_path)
    names = re.findall(r"^func (check_\w+)", (HERE / "checks.gd").read_text(), re.MULTILINE)
    verdicts = dict(re.findall(r"^(check_\w+): (.*)$", told, re.MULTILINE))
    assert verdicts == dict.fromkeys(names, "ok")


@process
@needs_godot
def test_it_passes_the_cases_that_tell_most(adapter: list[str]) -> None:
    assert not_passed(adapter, TELLING, jobs=4) == []


@process
@needs_godot
def test_what_another_process_is_writing_is_sent_and_nothing_of_it_is_lost(
    adapter: list[str], tmp_path: Path
) -> None:
    with (
        scripted_gateway() as gateway,
        begun(adapter, gateway, tmp_path) as one,
        begun(adapter, gateway, tmp_path) as other,
    ):
        track(one, 0)
        assert other.ask({"do": "flush"})["sent"] == 1
        track(one, 1)
        assert other.ask({"do": "flush"})["sent"] == 1
        assert gateway.sent == [(0, 1), (1, 1)]


@process
@needs_godot
def test_an_answer_that_closes_its_connection_does_not_end_a_flush(
    adapter: list[str], tmp_path: Path
) -> None:
    with scripted_gateway() as gateway, begun(adapter, gateway, tmp_path) as client:
        gateway.script(*[Reply(headers={"Connection": "close"})] * 3)
        for n in range(250):
            client.tell([{"do": "track", "type": "AppOpen", "data": {"n": n}}])
        for _ in range(250):
            client.answer({"do": "track"})
        assert client.ask({"do": "flush"})["sent"] == 250


@process
@needs_godot
def test_only_a_gateway_whose_certificate_is_known_gets_anything(
    adapter: list[str], tmp_path: Path
) -> None:
    hold_to_certificates(adapter, tmp_path)


@process
@needs_godot
def test_frames_send_what_waits_also_while_the_game_is_paused_and_its_login_is_slow(
    game: Path,
) -> None:
    shutil.copy(HERE / "game.gd", game / "main.gd")
    with scripted_gateway() as gateway:
        at_home("godot3-server --path .", game, URL=gateway.url)
        assert gateway.sent == [(0, 3), (3, 50)]
        assert {each.token for each in gateway.requests} == {"token"}


@process
@needs_godot
def test_the_game_of_the_manual_sends_what_it_tracks(game: Path) -> None:
    script = block("client-godot", "gdscript", "extends Node\n\n\nfunc")
    start = re.sub(r"\$\(.+\)", "token", block("client-godot", "sh", "TOKEN="))
    with scripted_gateway() as gateway:
        gateway.script(202)
        script = script.replace("http://127.0.0.1:8000", gateway.url)
        (game / "main.gd").write_text(script)
        told = at_home(start, game.parent)
    hold_to_three_events(gateway)
    assert "3 events: 202, stored" in told
    assert not [*game.parent.rglob("*.ndjson")]
