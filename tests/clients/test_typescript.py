"""The client for TypeScript in node; ``test_typescript_browser`` has it in a browser."""

import shutil
from pathlib import Path

import pytest

from playsmart_gateway.clients import CLIENTS
from tests.clients.languages import not_passed, output
from tests.manual.blocks import block
from tests.support.process import StartGateway

NODE, TSC = shutil.which("node"), shutil.which("tsc")
CLIENT = CLIENTS["typescript"]
TELLING = [
    "numbers", "any-text", "gzip", "order", "sent-at-of-another-life", "clock-jump",
    "captive-portal", "answer-cut-off", "redirect-takes-no-token", "retry-after-503",
    "new-token", "poison-422", "killed-while-tracking", "torn-line", "another-player",
    "opt-out", "bound-of-the-settings", "full-disk", "kill-switch", "sampling",
    "sends-in-time",
]  # fmt: skip
"""Cases of conformance in which it would go wrong first."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(NODE is None, reason="there is no node"),
]


def node(*arguments: str | Path, **environment: str) -> str:
    """Run node, and return what it printed."""
    return output([NODE or "", *arguments], **environment)


def test_it_does_what_its_own_tests_ask_for() -> None:
    units = Path(__file__).with_name("typescript_units.mjs")
    assert "# fail 0" in node("--test", "--test-reporter=tap", units, CLIENT=str(CLIENT.folder))


def test_it_passes_the_cases_that_tell_most(adapter: list[str]) -> None:
    assert not_passed(adapter, TELLING, jobs=4) == []


def test_the_program_of_the_manual_sends_what_it_tracks(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway()
    CLIENT.write(tmp_path)
    program = block("client-typescript", "js", "import")
    program = program.replace("http://127.0.0.1:8000", running.url)
    (tmp_path / "program.mjs").write_text(program.replace('"events"', f'"{tmp_path}/events"'))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    node(tmp_path / "program.mjs", TOKEN=running.token("device-abc-123"))
    assert running.settle()["stored"] == 3
    assert not [*tmp_path.glob("events/*")]


def test_a_game_of_unity_reaches_it_by_the_library_of_the_manual(tmp_path: Path) -> None:
    unity = (
        "const mergeInto = (there, functions) => Object.assign(there, functions);"
        "const LibraryManager = {library: {}}, UTF8ToString = (text) => text;"
        "const window = {playsmart: {track: (...told) => console.log(JSON.stringify(told))}};"
    )
    library = block("client-typescript", "js", "mergeInto")
    call = 'LibraryManager["library"].PlaySmartTrack("AppOpen", \'{"n": 1}\')'
    assert node("--eval", f"{unity}\n{library}\n{call}") == '["AppOpen",{"n":1}]\n'


@pytest.mark.skipif(TSC is None, reason="there is no tsc; npm has it in typescript")
def test_the_javascript_is_what_is_made_of_the_typescript(tmp_path: Path) -> None:
    types = next(Path(TSC or "").resolve().parents[3].glob("node_modules/@types"), None)
    if types is None:
        pytest.skip("there are no types of node beside tsc; npm has them in @types/node")
    output([TSC or "", "-p", CLIENT.folder, "--outDir", tmp_path, "--typeRoots", types])
    for made in tmp_path.iterdir():
        assert made.read_bytes() == CLIENT.read(made.name), "run tsc -p in the folder"
