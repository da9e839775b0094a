"""What a phone of the campaign promises by what its client answers; the clients have own tests."""

import asyncio
import json
import sys
from pathlib import Path
from random import Random

import pytest

from tests.campaigns.phones.phone import Phone, recut, start

pytestmark = pytest.mark.process

OBEYS = """
import json, sys, time
answered, is_new = 0, False
for line in sys.stdin:
    do = json.loads(line)["do"]
    is_new |= do == "token"
    answered += do == "track"
    while answered > {most}:
        time.sleep(600)
    status = 202 if is_new else 401
    left = 0 if is_new else 3
    told = {{"ok": True}} if do != "alone" else {{"ok": False, "error": "unsupported"}}
    print(json.dumps({{**told, "left": left, "status": status}}), flush=True)
    if do == "quit":
        break
"""


async def phone(folder: Path, *, most: int = 100) -> Phone:
    program = OBEYS.format(most=most)
    return await start([sys.executable, "-S", "-c", program], folder / "log")


async def test_what_was_answered_is_kept_and_a_refused_token_replaced(tmp_path: Path) -> None:
    there = await phone(tmp_path)
    await there.begin({"user": "a"})
    await there.leave_alone()
    await there.track(1, 5)
    assert there.kept == 5
    assert await there.flush("new") == 3
    assert await there.flush("new") == 0
    await there.send_all("new")
    await there.kill()


async def test_what_was_not_answered_by_the_time_of_the_kill_is_not(tmp_path: Path) -> None:
    there = await phone(tmp_path, most=3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await there.track(1, 5)
    await there.kill()
    assert there.kept <= 3  # none, if it took a second to start


async def test_an_end_of_its_own_is_noticed(tmp_path: Path) -> None:
    there = await start([sys.executable, "-S", "-c", ""], tmp_path / "log")
    with pytest.raises(AssertionError, match="ended by itself before it answered init"):
        await there.begin({})
    await there.kill()


def events_in(folder: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for path in folder.glob("*.ndjson"):
        head, *events = path.read_text().splitlines()
        assert head == HEAD
        assert 1 <= len(events) <= 100
        found |= {int(path.stem[-8:]) + place: each for place, each in enumerate(events)}
    return found


RUN = "019a0000-0000-7000-8000-000000000000"
HEAD = json.dumps({"user_id": "a"})


def write(folder: Path, first: int, count: int, tail: str = "") -> None:
    events = [f'{{"n": {first + place}}}' for place in range(count)]
    (folder / f"{RUN}-{first:08d}.ndjson").write_text("\n".join([HEAD, *events, tail]))


def test_recut_files_have_the_same_events_under_the_same_numbers(tmp_path: Path) -> None:
    write(tmp_path, 0, 100)
    write(tmp_path, 100, 30)
    write(tmp_path, 150, 20, tail='{"n": 17')  # behind a hole, and torn
    (tmp_path / "opted-out").touch()
    for seed in range(5):
        recut(tmp_path, Random(seed))
        found = events_in(tmp_path)
        assert found == {number: f'{{"n": {number}}}' for number in [*range(130), *range(150, 170)]}
    assert (tmp_path / "opted-out").exists()
    assert (tmp_path / f"{RUN}-00000150.ndjson").exists()
