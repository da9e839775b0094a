"""Cases about trouble: files that are none, a disk that is full or emptied, and absurd input."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from playsmart_gateway.clients.conformance.adapter import Broken, Unsupported
from playsmart_gateway.clients.conformance.case import cases
from playsmart_gateway.clients.conformance.scene import PLAYER, NotHere, Scene, expect
from playsmart_gateway.clients.conformance.server import accept, busy

_STRANGE_RUN = "01900000-0000-7000-8000-000000000000"
_GARBAGE = (
    b"\x00\xff\xfe garbage\n{half a line\n[]\n",
    b"[" * 100_000 + b"\n{}\n",
    b'{"user_id": NaN}\n{}\n',
    b"",
)
_TORN_BYTES, _NO_FILE_BYTES = 150, 64
_NO_TOKENS = ("two\nlines", "snow \N{SNOWMAN}", "")
_DEEP = json.loads('{"a":' * 50 + "1" + "}" * 50)
_ABSURD: tuple[Mapping[str, object], ...] = (
    {"type": ""},
    {"type": "x" * 10_000},
    {"type": "Custom", "name": ""},
    {"type": "AppOpen", "name": "no event of this type has a name"},
    {"type": "AppOpen", "data": {}},
    {"type": "AppOpen", "data": {"": None, "type": "Custom", "run": "x", "seq": -1, "events": []}},
    {"type": "AppOpen", "data": {"text": "x" * 100_000}},
    {"type": "AppOpen", "data": _DEEP},
)


# --- strange files


def torn_line(scene: Scene) -> None:
    """Of a file whose last line is torn all the other lines are sent, and no wrong request."""
    scene.server.script = busy
    life = scene.life()
    marks = life.track(5)
    life.kill()
    newest = scene.queue()[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    scene.server.script = accept
    following = scene.life()
    following.deliver(marks[:-1] + following.track(2))
    expect(all(each.events for each in scene.requests), "requests in JSON", "one that is none")
    scene.expect_each_event_to_keep_its_number()


def unreadable_file(scene: Scene) -> None:
    """A file in the queue that cannot be read does not hold up the others."""
    folder, marks = _left_behind(scene)
    _make_folder_in(folder)
    following = scene.life()
    following.deliver(marks + following.track(2))


def file_of_garbage(scene: Scene) -> None:
    """A file in the queue that is no JSON does not hold up the others."""
    folder, marks = _left_behind(scene)
    for number, content in enumerate(_GARBAGE):
        (folder / f"{_STRANGE_RUN}-{number:08d}.ndjson").write_bytes(content)
    following = scene.life()
    following.deliver(marks + following.track(2))


def pipe_in_the_queue(scene: Scene) -> None:
    """A pipe with the name of a file of the queue does not hold up anything."""
    if not hasattr(os, "mkfifo"):
        raise NotHere("there are no such pipes on this platform")
    folder, marks = _left_behind(scene)
    os.mkfifo(folder / f"{_STRANGE_RUN}-00000000.ndjson")
    following = scene.life()
    following.deliver(marks + following.track(2))


def opt_out_beside_a_folder(scene: Scene) -> None:
    """An opt-out deletes all that waited, also beside a folder that is named like a file of it."""
    folder, _ = _left_behind(scene)
    _make_folder_in(folder)
    life = scene.life()
    life.track(3)
    life.ask("optout")
    left = [each.name for each in scene.queue() if each.is_file()]
    expect(not left, "no events on the disk", f"{len(left)} files of them")


def _make_folder_in(folder: Path) -> None:
    """Make what not even the administrator can read, or delete, as a file."""
    strange = folder / f"{_STRANGE_RUN}-00000000.ndjson"
    strange.mkdir()
    (strange / "something").write_text("in it")


def _left_behind(scene: Scene) -> tuple[Path, list[object]]:
    """Have a life leave events; return the folder that they are in, and their marks."""
    scene.server.script = busy
    life = scene.life()
    marks = life.track(3)
    life.kill()
    folder = scene.queue()[0].parent
    scene.server.script = accept
    return folder, marks


# --- the disk


def full_disk(scene: Scene) -> None:
    """Where the disk is full no call fails; once there is room what is tracked is kept again."""
    life = scene.life()
    marks = life.track(5)
    largest = max((each.stat().st_size for each in scene.files()), default=0)
    for most_bytes in (largest + _TORN_BYTES, _NO_FILE_BYTES):  # a line is torn; no file begins
        life.limit_files(most_bytes)
        life.track(10)
    life.limit_files(None)
    life.deliver(marks + life.track(5))
    expect(all(each.events for each in scene.requests), "requests in JSON", "one that is none")
    scene.expect_each_event_to_keep_its_number()


def folder_deleted(scene: Scene) -> None:
    """Where its folder is deleted meanwhile, what is tracked after the next flush is kept."""
    scene.server.script = busy
    life = scene.life()
    life.track(3)
    scene.flush_and_wait_for_a_request(life)
    life.track(3)
    scene.queue()
    shutil.rmtree(scene.folder)
    life.flush()
    marks = life.track(3)
    life.kill()
    scene.server.script = accept
    scene.life().deliver(marks)
    scene.expect_each_event_to_keep_its_number()


# --- what it is told


def absurd_input(scene: Scene) -> None:
    """Whatever is tracked, no call fails, and what is tracked after it arrives."""
    life = scene.life()
    for each in _ABSURD:
        shown = json.dumps(each)[:60]
        try:
            life.ask("track", **each)
        except Unsupported:
            continue
        except Broken as why:
            expect(False, f"track to be answered with ok for {shown}", why)
    life.deliver(life.track(3))
    life.kill()
    following = scene.life()
    following.deliver(following.track(3))


def no_token(scene: Scene) -> None:
    """With a token that no header can have nothing is sent; with the next one it is."""
    marks: list[object] = []
    for token in _NO_TOKENS:
        life = scene.life(PLAYER, token)
        marks += life.track(2)
        scene.expect_quiet(life, f"no request with the token {token!r}")
        life.kill()
    scene.life().deliver(marks)
    scene.expect_each_event_to_keep_its_number()


CASES = cases(
    torn_line,
    unreadable_file,
    file_of_garbage,
    pipe_in_the_queue,
    opt_out_beside_a_folder,
    full_disk,
    folder_deleted,
    absurd_input,
    no_token,
)
