"""What the client for Python does with each answer, and with what happens to its files."""

import itertools
import json
import logging
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from playsmart_gateway.clients.python.playsmart_client import Client, Settings
from tests.clients.scripted import (
    GAME,
    PLAYER,
    REFUSED,
    FakeClock,
    Game,
    Reply,
    Request,
    ScriptedGateway,
    dripping_gateway,
    scripted_gateway,
)
from tests.support.polling import wait_until

FOLDER = "queue"
PORTAL = b"<html>Welcome to our hotel</html>"
A_MINUTE, AN_HOUR = 61, 3_601


@pytest.fixture(scope="module")
def listening() -> Iterator[ScriptedGateway]:
    with scripted_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(listening: ScriptedGateway) -> ScriptedGateway:
    url = listening.url
    listening.__init__()  # type: ignore[misc]
    listening.url = url
    return listening


@pytest.fixture
def game(gateway: ScriptedGateway, tmp_path: Path) -> Game:
    return Game(gateway, tmp_path / FOLDER)


def another_life(game: Game, gateway: ScriptedGateway, player: str = PLAYER) -> Game:
    """The process was killed, and the next one begins."""
    game.client.queue.close()  # as the kernel does
    return Game(gateway, game.folder, player)


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply(0),
        Reply(cut=True),
        Reply(200, PORTAL),
        Reply(200, {"success": True}),
        Reply(202, PORTAL),
        Reply(202, {"success": False}),
        Reply(202, b"[true]"),
        Reply(204, b""),
        Reply(302, PORTAL, {"Location": "http://127.0.0.1:9/login"}),
        Reply(307, PORTAL, {"Location": "/v1/app-settings"}),
        Reply(400, PORTAL),
        Reply(408),
        Reply(425),
        Reply(429),
        Reply(500),
        Reply(502, PORTAL),
        Reply(503),
    ],
    ids=lambda reply: f"{reply.status}-{reply.body!s:.20}",
)
def test_what_was_not_taken_is_kept_for_a_minute_at_most_and_sent_again_as_it_was(
    game: Game, gateway: ScriptedGateway, reply: Reply
) -> None:
    gateway.script(reply)
    game.track(3)
    assert game.client.flush() == (0, None if reply.cut else reply.status or None)
    assert game.waiting() == 3
    assert game.flush_after(A_MINUTE) == (3, 202)
    first, again = gateway.requests
    assert first.batch["run"] == again.batch["run"]
    assert gateway.sent == [(0, 3), (0, 3)]
    assert game.waiting() == 0


@pytest.mark.parametrize("status", [404, 405, 410])
def test_where_the_address_is_wrong_it_asks_again_in_an_hour(
    game: Game, gateway: ScriptedGateway, status: int
) -> None:
    gateway.script(status)
    game.track(1)
    assert game.client.flush() == (0, status)
    assert game.flush_after(AN_HOUR - 2) == (0, None)
    assert game.flush_after(2) == (1, 202)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7), ("0", 0), ("999999", 3_600), ("Thu, 01 Jan 2026 00:00:00 GMT", 60), ("-3", 60)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told_but_no_longer_than_an_hour(
    game: Game, gateway: ScriptedGateway, status: int, told: str, seconds: float
) -> None:
    gateway.script(Reply(status, REFUSED, {"Retry-After": told}))
    game.track(1)
    game.client.flush()
    if told.isdecimal() and seconds:
        assert game.flush_after(seconds - 1) == (0, None)
    assert game.flush_after(seconds + 1) == (1, 202)


def test_pauses_grow_with_the_failures_and_are_longer_when_nobody_plays(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.script(*[500] * 400)
    game.track(1)
    longest = 0.0
    for most in [2, 4, 8, 16, 32, 60] + [60] * 20:
        game.client.flush()
        pause = game.client._quiet_until - game.clock.seconds
        assert 0 <= pause <= most
        longest = max(longest, pause)
        game.clock.seconds += pause
    assert longest > 10
    for _ in range(20):
        game.client.background()
        pause = game.client._quiet_until - game.clock.seconds
        assert 0 <= pause <= 900
        longest = max(longest, pause)
        game.clock.seconds += pause
    assert longest > 60


def test_nothing_overtakes_a_batch_that_may_be_sent_again_at_once(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.script(Reply(503, REFUSED, {"Retry-After": "0"}))
    game.track(250)
    assert game.client.flush() == (0, 503)
    assert gateway.sent == [(0, 100)]
    assert game.client.flush() == (250, 202)
    assert gateway.sent[1:] == [(0, 100), (100, 100), (200, 50)]


def test_events_that_come_while_it_waits_are_sent_behind_the_older_ones(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.script(500)
    game.track(3)
    game.client.flush()
    game.track(2)
    game.track(2)
    assert game.flush_after(A_MINUTE) == (7, 202)
    assert gateway.sent == [(0, 3), (0, 3), (3, 4)]


def test_of_a_batch_with_a_wrong_event_the_others_are_stored_with_their_numbers(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.poison = (13,)
    game.track(60)
    assert game.client.flush().sent == 59
    assert [json.loads(event)["customdata"] for event in game.aside()] == [{"n": 13}]
    stored = [
        (each.batch["seq"] + place, n)
        for each in gateway.requests
        for place, n in enumerate(each.marks)
        if 13 not in each.marks
    ]
    assert stored == [(n, n) for n in range(60) if n != 13]
    assert game.waiting() == 0


@pytest.mark.parametrize("reply", [Reply(413, PORTAL), Reply(422, REFUSED), Reply(400, REFUSED)])
def test_what_is_refused_is_halved(game: Game, gateway: ScriptedGateway, reply: Reply) -> None:
    gateway.script(reply, reply)
    game.track(4)
    assert game.client.flush() == (4, 202)
    assert gateway.sent == [(0, 4), (0, 2), (0, 1), (1, 1), (2, 2)]


def test_only_the_last_hundred_of_what_is_refused_are_kept(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.poison = tuple(range(130))
    game.track(130)
    game.client.flush()
    assert len(game.aside()) == 100
    assert b'"n":129' in b"".join(game.aside())


def test_a_kill_in_the_middle_of_halving_leaves_a_repeat_and_no_hole(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.script(Reply(400, REFUSED))
    game.track(4)
    new, done = game.client.queue._new, list[bool]()

    def killed(*arguments: object) -> object:
        if done:
            raise KeyboardInterrupt
        done.append(True)
        return new(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(game.client.queue, "_new", killed)
    with pytest.raises(KeyboardInterrupt):
        game.client.flush()
    assert another_life(game, gateway).client.flush().sent == 6
    assert gateway.sent == [(0, 4), (0, 4), (2, 2)]


def test_what_must_not_be_compressed_is_sent_as_it_is(game: Game, gateway: ScriptedGateway) -> None:
    gateway.script(415)
    game.track(20)
    assert game.client.flush() == (20, 202)
    assert [each.headers.get("Content-Encoding") for each in gateway.requests] == ["gzip", None]


# --- requests ------------------------------------------------------------------------------------


def test_a_request_says_who_sends_what_and_when(game: Game, gateway: ScriptedGateway) -> None:
    game.client.track("Custom", {"n": 1}, name="PowerUpUsed")
    game.client.track("AppOpen")
    game.clock.seconds += 5
    game.client.flush()
    (sent,) = gateway.requests
    assert sent.token == "token-of-abc"
    assert sent.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in sent.headers
    at = datetime.fromtimestamp(1_500_001_000).astimezone()
    event, opened = sent.batch.pop("events")
    assert datetime.fromisoformat(event.pop("timestamp")) == at
    assert event == {"type": "Custom", "customdata": {"n": 1}, "customEventName": "PowerUpUsed"}
    assert opened.keys() == {"type", "timestamp"}
    assert datetime.fromisoformat(sent.batch.pop("sent_at")).timestamp() == at.timestamp() + 5
    assert sent.batch.pop("client").keys() == {"name", "version", "platform"}
    run = game.client.queue.run
    assert sent.batch == {"user_id": PLAYER, "game_id": GAME, "run": run, "seq": 0}


def test_what_is_tracked_while_it_sends_goes_behind_it_and_does_not_keep_it_at_work(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply, place = gateway.reply, itertools.count(3)

    def track_meanwhile(request: Request) -> Reply:
        game.track(itertools.islice(place, 120))
        return reply(request)

    monkeypatch.setattr(gateway, "reply", track_meanwhile)
    game.track(3)
    another = Game(gateway, game.folder)
    another.track(1)
    another.client.queue.close()
    assert game.client.flush() == (124, 202)
    assert gateway.sent == [(0, 1), (0, 100), (100, 23)]
    assert game.waiting() == 240


def test_a_hundred_events_or_48_kb_are_a_request(game: Game, gateway: ScriptedGateway) -> None:
    game.track(250)
    game.track(range(250, 258), filler="x" * 12_000)
    assert game.client.flush().sent == 258
    assert gateway.sent == [(0, 100), (100, 100), (200, 53), (253, 3), (256, 2)]
    assert gateway.requests[0].headers["Content-Encoding"] == "gzip"
    assert all(len(json.dumps(each.batch)) < 50_000 for each in gateway.requests)


def test_ten_thousand_events_that_waited_are_sent_in_their_order(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(10_000)
    next_life = another_life(game, gateway)
    assert next_life.client.flush() == (10_000, 202)
    assert gateway.sent == [(first, 100) for first in range(0, 10_000, 100)]
    assert not list(game.folder.iterdir())


def test_the_gateways_time_is_known_from_its_answers(game: Game) -> None:
    assert game.client.server_time() is None
    game.track(1)
    game.flush_after(0)
    game.clock.seconds += 9
    told = game.client.server_time()
    assert told is not None
    assert told.timestamp() == FakeClock.SERVER_TIME + 9


@pytest.mark.parametrize("year", ["99999999999", "9999"])
def test_a_date_beyond_all_calendars_keeps_no_event_from_being_sent(
    game: Game, gateway: ScriptedGateway, year: str
) -> None:
    gateway.date = f"Fri, 31 Dec {year} 23:59:59 GMT"
    game.track(1)
    game.flush_after(0)
    game.flush_after(A_MINUTE)
    assert gateway.sent == [(0, 1)]
    assert game.client.server_time() is None


def test_when_the_clock_is_set_a_new_run_begins_and_the_old_one_tells_no_clock(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(2)
    game.clock.offset += 59
    game.track(1)
    game.clock.offset += 4_000_000
    game.track(1)
    game.client.flush()
    old, new = sorted(gateway.requests, key=lambda each: "sent_at" in each.batch)
    assert (old.numbers, new.numbers) == ((0, 3), (0, 1))
    assert old.batch["run"] != new.batch["run"]
    assert "sent_at" not in old.batch


def test_only_a_gateway_whose_certificate_is_known_gets_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_gateway(tmp_path) as gateway:
        game = Game(gateway, tmp_path / FOLDER)
        game.track(3)
        assert game.client.flush() == (0, None)
        assert (gateway.requests, gateway.asked_for_settings) == ([], 0)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert game.flush_after(A_MINUTE) == (3, 202)


@pytest.mark.parametrize("slow", ["head", "body", "body-without-a-length"])
def test_an_answer_that_comes_in_drops_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    monkeypatch.setattr(Client, "answer_seconds", 0.5)
    with dripping_gateway(slow) as gateway:
        game = Game(gateway, tmp_path / FOLDER)
        game.track(1)
        assert game.client.flush() == (0, None)
        assert gateway.drops
    assert game.waiting() == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.example.com",
        "gateway.example.com:8000",
        "ftp://gateway.example.com",
        "http://",
        "http://:8000",
        "http://[",
        "http://gateway.example.com:secret",
        "http://gateway.example.com:99999",
        "http://gateway example com",
        "http://gateway..example.com",
        "http://gateway.example.com/a path",
        "http://gateway.example.com/\N{SNOWMAN}",
    ],
)
def test_an_address_that_is_none_is_said_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"^the url of a gateway is http://HOST or \S+$"):
        Client(url, tmp_path / FOLDER, PLAYER, GAME, lambda _: "token")
    assert not (tmp_path / FOLDER).exists()


# --- tokens and players --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_when_a_token_is_refused_the_same_batch_goes_with_the_next_one(
    game: Game, gateway: ScriptedGateway, status: int
) -> None:
    gateway.script(status)
    game.track(3)
    assert game.client.flush() == (0, status)
    assert game.client.flush() == (0, None)
    game.tokens[PLAYER] = "another"
    assert game.client.flush() == (3, 202)
    assert [each.token for each in gateway.requests] == ["token-of-abc", "another"]
    assert gateway.sent == [(0, 3), (0, 3)]


def test_a_token_is_asked_for_again_at_once_when_it_has_expired(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = iter(["old", "new"])
    monkeypatch.setattr(game.client, "_ask_token", lambda _: next(fresh))
    gateway.script(401)
    game.track(150)
    assert game.client.flush() == (150, 202)
    assert [each.token for each in gateway.requests] == ["old", "new", "new"]


def test_where_every_new_token_is_refused_too_it_waits(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def mint(_: str) -> str:
        asked.append("")
        return f"token-{len(asked)}"

    monkeypatch.setattr(game.client, "_ask_token", mint)
    gateway.script(*[401] * 50)
    game.track(500)
    for _ in range(50):
        game.client.flush()
    assert len(gateway.requests) == 2
    gateway.replies.clear()
    assert game.flush_after(A_MINUTE).sent == 500


def test_the_same_token_is_tried_again_after_a_while(game: Game, gateway: ScriptedGateway) -> None:
    gateway.script(401)
    game.track(1)
    game.client.flush()
    assert game.flush_after(A_MINUTE) == (1, 202)


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_events_wait(
    game: Game, gateway: ScriptedGateway, token: str | None
) -> None:
    game.tokens[PLAYER] = token
    game.track(300)
    assert game.client.flush() == (0, None)
    assert game.asked == [PLAYER]
    game.tokens[PLAYER] = "there"
    assert game.client.flush() == (300, 202)


@pytest.mark.parametrize("token", ["two\nlines", "\r", "\N{SNOWMAN}", "tab\ttab", "a b", "\0", 7])
def test_a_token_that_no_header_can_have_is_none(
    game: Game, gateway: ScriptedGateway, token: object, caplog: pytest.LogCaptureFixture
) -> None:
    game.tokens["device-xyz"] = token  # type: ignore[assignment]
    game.client.change_player("device-xyz")
    game.track(2)
    game.client.change_player(PLAYER)
    game.track(3)
    assert game.client.flush() == (3, 202)
    assert [each.batch["user_id"] for each in gateway.requests] == [PLAYER]
    assert str(token) not in "".join(caplog.messages) or token == "\r"
    game.tokens["device-xyz"] = " good \n"
    assert game.client.flush() == (2, 202)


def test_what_asks_for_a_token_may_fail(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game.client, "_ask_token", lambda _: 1 / 0)
    game.track(1)
    assert game.client.flush() == (0, None)
    assert not gateway.requests


def test_events_of_another_player_are_sent_with_their_token_alone(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(2)
    game.client.change_player("device-xyz")
    game.tokens = {"device-xyz": "token-of-xyz"}
    game.track(3)
    assert game.client.flush() == (3, 202)
    assert gateway.requests[0].batch["user_id"] == "device-xyz"
    assert game.waiting() == 2
    game.tokens[PLAYER] = "token-of-abc"
    assert game.client.flush() == (2, 202)
    sent = [(each.batch["user_id"], each.token, each.numbers) for each in gateway.requests]
    assert sent == [("device-xyz", "token-of-xyz", (0, 3)), (PLAYER, "token-of-abc", (0, 2))]
    assert len({each.batch["run"] for each in gateway.requests}) == 2


def test_events_of_the_player_before_a_restart_wait_for_them(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(2)
    stranger = another_life(game, gateway, "device-xyz")
    stranger.tokens = {"device-xyz": "token-of-xyz"}
    assert stranger.client.flush() == (0, None)
    assert not gateway.requests
    assert another_life(game, gateway).client.flush() == (2, 202)


# --- files ---------------------------------------------------------------------------------------


def test_a_line_that_a_kill_has_torn_is_not_sent(game: Game, gateway: ScriptedGateway) -> None:
    game.track(2)
    (file,) = game.folder.iterdir()
    with file.open("ab") as torn:
        torn.write(b'{"type":"App')
    assert another_life(game, gateway).client.flush() == (2, 202)
    assert gateway.sent == [(0, 2)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 99,
        b"[]\n{}\n",
        b"7\n{}\n",
        b'{"user_id":7}\n{}\n',
        b'{"user_id":"a"}\n',
        b'{"user_id":"a","n":NaN}\n{}\n',
        b'{"user_id":"a","n":' + b"9" * 9_999 + b"}\n{}\n",
        b"[" * 99_999 + b"\n{}\n",
        b"\xff\n",
        b'{"user_id":"',
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_go_on(
    game: Game, gateway: ScriptedGateway, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    game.track(1)
    broken = game.folder / f"{'0' * 36}-00000000.ndjson"
    broken.write_bytes(content)
    assert game.client.flush() == (1, 202)
    assert (game.folder / "rejected" / broken.name).read_bytes() == content
    assert not broken.exists()
    assert caplog.messages == [f"{broken.name} cannot be read, and is set aside"]


@pytest.mark.parametrize("aside", [False, True], ids=["queue", "rejected"])
def test_what_is_no_file_of_the_queue_is_left_alone_and_in_nobodys_way(
    game: Game, gateway: ScriptedGateway, aside: bool
) -> None:
    game.client.settings = Settings(max_queue_bytes=50_000)
    game.track(1)
    game.client.queue.close()
    folder = game.folder / "rejected" if aside else game.folder
    folder.mkdir(exist_ok=True)
    notes = folder / "notes.ndjson"
    notes.write_text("mine")
    strange = [folder / f"{'0' * 36}-0000000{number}.ndjson" for number in range(4)]
    strange[0].mkdir()
    os.mkfifo(strange[1])
    os.mknod(strange[2], 0o600 | stat.S_IFSOCK)
    strange[3].symlink_to(notes)
    game.track([1], filler="x" * 40_000)
    game.track([2], filler="x" * 40_000)
    assert game.client.flush() == (1, 202)
    assert gateway.requests[0].marks == [2]
    game.track(1)
    game.client.opt_out()
    assert game.client.queue.files(game.folder) == []
    assert all(each.lstat() for each in strange)
    assert notes.read_text() == "mine"


@pytest.mark.parametrize("name", ["00000002.ndjson", "00000002.ndjson.tmp", "a pipe.tmp"])
def test_where_no_half_can_be_written_nothing_is_asked_again_until_it_can(
    game: Game, gateway: ScriptedGateway, tmp_path: Path, name: str
) -> None:
    gateway.poison = (3,)
    game.track(4)
    strange = game.folder / f"{game.client.queue.run}-{name.replace('a pipe', '00000002.ndjson')}"
    os.mkfifo(strange) if "pipe" in name else (strange / "something").mkdir(parents=True)
    files = len([*Path("/dev/fd").iterdir()])
    for _ in range(4):
        assert game.flush_after(A_MINUTE) == (0, 400)
    assert gateway.sent == [(0, 4)]
    assert len([*Path("/dev/fd").iterdir()]) <= files + 1
    strange.replace(tmp_path / "away")
    assert game.flush_after(A_MINUTE).sent == 3


def test_where_nothing_can_be_set_aside_nothing_is_sent_twice(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(1)
    garbage = game.folder / f"{'0' * 36}-00000000.ndjson"
    garbage.write_bytes(b"garbage")
    (game.folder / "rejected").touch()
    gateway.poison = (0,)
    for _ in range(3):
        game.flush_after(A_MINUTE)
    assert gateway.sent == [(0, 1)]
    game.track([1])
    assert game.flush_after(A_MINUTE) == (1, 202)
    game.client.opt_out()
    assert game.waiting() == 0


def test_where_no_file_can_be_deleted_each_is_sent_once_and_then_it_waits(
    game: Game,
    gateway: ScriptedGateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    caplog.set_level(logging.WARNING)
    game.track(150)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "unlink", refuse)
        for seconds in [A_MINUTE, 0, 0, A_MINUTE, 0]:
            assert game.flush_after(seconds).sent == 0
        assert gateway.sent == [(0, 100), (100, 50)]
        assert len(caplog.messages) == 4
        assert "-00000000.ndjson, 100 events: 202, PermissionError, kept, " in caplog.messages[0]
        game.track([150])
        game.flush_after(A_MINUTE)
    assert game.flush_after(A_MINUTE) == (151, 202)
    assert gateway.sent == [(0, 100), (100, 50), (150, 1)]
    assert game.waiting() == 0


def test_when_the_folder_is_deleted_events_go_to_a_new_one_and_the_loss_is_said(
    game: Game, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.script(500)
    game.track(2)
    game.client.flush()  # and while it waits
    game.track(3)
    shutil.rmtree(game.folder)
    game.client.flush()
    game.track(4)
    assert game.flush_after(A_MINUTE) == (4, 202)
    assert gateway.sent == [(0, 2), (5, 4)]
    run = game.client.queue.run
    assert caplog.messages == [f"{run}-00000002.ndjson was deleted, with 3 events"]


def test_where_the_opt_out_cannot_be_remembered_all_is_deleted_yet(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    game.track(3)
    game.client.opt_out()
    game.track(3)
    assert game.waiting() == 0


@pytest.mark.parametrize("fails", ["raises", "tears"])
def test_when_the_disk_is_full_the_event_is_lost_and_seen_as_a_gap(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(file: int, content: bytes) -> int:
        if fails == "raises":
            raise OSError(28, "No space left on device")
        return os.write(file, content[:5])

    game.track(2)
    with monkeypatch.context() as disk:
        disk.setattr(game.client.queue, "write", full)
        game.track([2, 3, 4])
    game.track([5])
    assert game.client.flush() == (3, 202)
    assert gateway.sent == [(0, 2), (5, 1)]
    assert not list(game.folder.iterdir())


def test_where_no_folder_can_be_made_the_game_goes_on(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    game = Game(gateway, tmp_path / "file" / "queue")
    game.track(3)
    assert game.client.flush() == (0, None)
    game.client.opt_out()
    game.client.close()


def test_the_queue_is_bounded_and_the_oldest_events_go_first(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.client.settings = Settings(max_queue_bytes=200_000)
    for number in range(100):
        game.track([number], filler="x" * 9_000)
        assert sum(file.stat().st_size for file in game.folder.iterdir()) <= 200_000
    assert game.client.flush().sent >= 16
    assert gateway.sent[-1][0] + gateway.sent[-1][1] == 100
    assert [first for first, _ in gateway.sent] == list(range(gateway.sent[0][0], 100, 5))


def test_a_file_that_another_process_writes_is_left_to_it(
    game: Game, gateway: ScriptedGateway
) -> None:
    game.track(2)
    other = Game(gateway, game.folder)
    other.track(1)
    assert other.client.flush() == (1, 202)
    assert game.client.flush() == (2, 202)


def test_a_process_that_was_forked_has_a_run_of_its_own(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    game.track(2)
    run = game.client.queue.run
    monkeypatch.setattr(os, "getpid", lambda: -1)
    game.track(1)
    assert game.client.queue.run != run
    assert game.client.flush() == (3, 202)
    assert sorted(gateway.sent) == [(0, 1), (0, 2)]


def test_what_is_no_json_is_not_kept(game: Game, caplog: pytest.LogCaptureFixture) -> None:
    game.client.track("AppOpen", {"score": float("nan")})
    game.client.track("AppOpen", {"thing": object()})
    game.client.track("AppOpen", 7)  # type: ignore[arg-type]
    assert len(caplog.records) == 3
    assert not game.folder.exists()


# --- what the player and the gateway want --------------------------------------------------------


def test_who_opts_out_leaves_nothing_and_who_opts_in_begins_anew(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.poison = (0,)
    game.track(1)
    game.client.flush()
    assert game.aside()
    run = game.client.queue.run
    game.track(3)
    game.client.opt_out()
    game.track(3)
    assert game.client.opted_out
    for life in (game, another_life(game, gateway)):
        life.track(1)
        assert life.client.flush() == (0, None)
    assert [each.name for each in game.folder.rglob("*") if each.is_file()] == ["opted-out"]
    requests = len(gateway.requests)
    game.client.opt_in()
    game.track([7])
    assert game.client.flush() == (1, 202)
    assert len(gateway.requests) == requests + 1
    assert gateway.requests[-1].batch["run"] != run
    assert gateway.sent[-1] == (0, 1)


def test_who_opts_out_while_a_batch_is_under_way_keeps_no_half_of_it(
    game: Game, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = game.client._post

    def opt_out_meanwhile(*arguments: object) -> object:
        game.client.opt_out()
        return post(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(game.client, "_post", opt_out_meanwhile)
    gateway.script(Reply(400, REFUSED))
    game.track(4)
    game.client.flush()
    assert [each.name for each in game.folder.iterdir()] == ["opted-out"]


def ingest(**told: object) -> Reply:
    return Reply(200, {"data": [{"version": "1", "ingest": {"encodings": ["gzip"], **told}}]})


def test_while_clients_are_turned_off_events_are_kept_and_the_gateway_is_asked_hourly(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.settings = ingest(enabled=False)
    game.track(3)
    for _ in range(5):
        assert game.client.flush() == (0, None)
    assert not game.client.settings.enabled
    assert (gateway.asked_for_settings, gateway.requests) == (1, [])
    gateway.settings = ingest(enabled=True)
    assert game.flush_after(AN_HOUR) == (3, 202)


def test_a_run_has_all_events_of_a_sampled_type_or_none_and_numbers_without_a_gap(
    game: Game, gateway: ScriptedGateway
) -> None:
    gateway.settings = ingest(sample={"AdImpression": 0.0, "boss": 0, "Custom": 1.0})
    game.client.flush()
    game.client.track("AdImpression", {"n": 0})
    game.client.track("Custom", {"n": 1}, name="boss")
    game.client.track("Custom", {"n": 2}, name="level")
    game.track([3])
    game.client.flush()
    (sent,) = gateway.requests
    assert sent.marks == [2, 3]
    shares = [another_life(game, gateway).client._share for _ in range(400)]
    assert 100 < sum(share < 0.5 for share in shares) < 300


@pytest.mark.parametrize(
    "told",
    [
        Reply(200, PORTAL),
        Reply(500),
        Reply(0),
        Reply(200, {"data": []}),
        Reply(200, {"data": [{"ingest": 7}]}),
        ingest(flush_seconds="soon"),
        ingest(max_queue_bytes=float("inf")),
        ingest(sample={"AppOpen": "none"}),
        ingest(encodings=None),
    ],
    ids=lambda reply: f"{reply.status}-{reply.body!s:.60}",
)
def test_settings_that_cannot_be_read_change_nothing(
    game: Game, gateway: ScriptedGateway, told: Reply
) -> None:
    gateway.settings = told
    game.track(1)
    assert game.client.flush() == (1, 202)
    assert game.client.settings == Settings()


@pytest.mark.parametrize("told", [Reply(404, REFUSED), Reply(200, {"data": [{"version": "1"}]})])
def test_a_gateway_that_does_not_speak_of_gzip_gets_none(
    game: Game, gateway: ScriptedGateway, told: Reply
) -> None:
    gateway.settings = told
    game.track(50)
    assert game.client.flush() == (50, 202)
    assert "Content-Encoding" not in gateway.requests[0].headers


# --- the log -------------------------------------------------------------------------------------


def test_a_line_says_what_became_of_a_batch_and_none_has_a_token_or_an_event(
    game: Game, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.script(503, 401, Reply(400, REFUSED), Reply(400, REFUSED))
    game.track(2, secret="payload")
    game.client.track("AppOpen", {"secret payload": float("inf")})
    game.client.flush()
    game.flush_after(A_MINUTE)
    game.tokens[PLAYER] = "token\nof-abc"
    game.client.flush()
    game.tokens[PLAYER] = "token-of-abc"
    game.flush_after(A_MINUTE)
    run = game.client.queue.run
    lines = [each.getMessage() for each in caplog.records if each.name == "playsmart_client"]
    for told in (
        "ValueError",
        f"{run}-00000000.ndjson, 2 events: 503, kept, next try in ",
        f"{run}-00000000.ndjson, 2 events: 401, waits for another token",
        f"{run}-00000000.ndjson, 2 events: 400, halved",
        f"{run}-00000000.ndjson, 1 event: 400, set aside: events.0.type is required",
        f"{run}-00000001.ndjson, 1 event: 202, stored",
    ):
        assert any(told in line for line in lines), told
    assert not any("of-abc" in line or "payload" in line for line in lines)
    assert "buffered" not in caplog.text


# --- the thread ----------------------------------------------------------------------------------


@pytest.fixture
def threaded(gateway: ScriptedGateway, tmp_path: Path) -> Iterator[Client]:
    client = Client(
        gateway.url, tmp_path / FOLDER, PLAYER, GAME, lambda _: "token", app_version="2"
    )
    yield client
    client.close()


def seen(gateway: ScriptedGateway, events: int) -> None:
    wait_until(lambda: True if sum(n for _, n in gateway.sent) >= events else None)
    assert sum(n for _, n in gateway.sent) == events


def is_resting(gateway: ScriptedGateway, client: Client) -> None:
    """Wait until the first flush, of the start, is over: it asks for the settings."""
    wait_until(lambda: gateway.asked_for_settings or None)
    with client._sending:
        pass


def test_a_thread_sends_what_waits_at_the_start(gateway: ScriptedGateway, tmp_path: Path) -> None:
    earlier = Game(gateway, tmp_path / FOLDER)
    earlier.track(3)
    earlier.client.queue.close()
    with_thread = Client(gateway.url, tmp_path / FOLDER, PLAYER, GAME, lambda _: "token")
    seen(gateway, 3)
    with_thread.close()


def test_a_thread_sends_fifty_events_without_waiting(
    gateway: ScriptedGateway, threaded: Client
) -> None:
    is_resting(gateway, threaded)
    for number in range(50):
        threaded.track("AppOpen", {"n": number})
    seen(gateway, 50)


def test_a_thread_sends_after_the_time_that_the_gateway_says(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.settings = ingest(flush_seconds=0)
    client = Client(gateway.url, tmp_path / FOLDER, PLAYER, GAME, lambda _: "token")
    is_resting(gateway, client)
    client.track("AppOpen", {"n": 0})
    seen(gateway, 1)
    client.close()
    assert client.settings.flush_seconds == 1


def test_a_thread_sends_when_the_game_goes_to_the_background(
    gateway: ScriptedGateway, threaded: Client
) -> None:
    is_resting(gateway, threaded)
    threaded.track("AppOpen", {"n": 0})
    threaded.background()
    seen(gateway, 1)
    assert gateway.requests[0].batch["client"]["app_version"] == "2"


def test_closing_sends_what_waits_and_ends_the_thread(
    gateway: ScriptedGateway, threaded: Client
) -> None:
    is_resting(gateway, threaded)
    threaded.track("AppOpen", {"n": 0})
    threaded.close(30)
    seen(gateway, 1)
    assert not threaded._thread.is_alive()


def test_tracking_does_not_wait_for_the_network(gateway: ScriptedGateway, threaded: Client) -> None:
    """The gateway answers only when ten more events were kept."""
    kept = threading.Event()
    reply = gateway.reply
    gateway.reply = lambda request: (kept.wait(30), reply(request))[1]  # type: ignore[method-assign]
    is_resting(gateway, threaded)
    threaded.track("AppOpen", {"n": 0})
    threaded.background()
    for number in range(1, 11):
        threaded.track("AppOpen", {"n": number})
    kept.set()
    threaded.background()
    seen(gateway, 11)
    del gateway.reply
