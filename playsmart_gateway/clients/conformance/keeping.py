"""Cases about what a client keeps: over a kill, for whom, how much, and what settings say of it."""

import time

from playsmart_gateway.clients.conformance.adapter import wait
from playsmart_gateway.clients.conformance.case import cases
from playsmart_gateway.clients.conformance.scene import (
    OTHER_PLAYER,
    PLAYER,
    NotHere,
    Scene,
    expect,
    numbered,
    token_for,
)
from playsmart_gateway.clients.conformance.server import (
    Answer,
    Request,
    accept,
    always,
    busy,
    refusal,
)

_MAX_QUEUE_BYTES = 12_582_912
"""What the queue may take on the disk: 10 MiB, and some room for how it is counted."""

_LEAST_QUEUE_BYTES = 524_288
_SMALL_QUEUE_BYTES = 200_000
_PAUSE_SECONDS = 0.1
_TO_OVERFLOW, _LARGE = 1_000, 16_384


# --- the process is killed


def killed_while_tracking(scene: Scene) -> None:
    """What was tracked when the process is killed is sent by the next, which begins a new run."""
    scene.server.script = busy
    marks: list[object] = []
    for count in (1, 7, 120):
        life = scene.life()
        marks += life.track(count)
        life.tell(*life.to_track(20))  # of these some may be kept
        life.kill()
    scene.server.script = accept
    last = scene.life()
    last.deliver(marks + last.track(3))
    scene.expect_each_event_to_keep_its_number()
    runs = len({run for run, _, _ in numbered(scene.requests)})
    expect(runs == 4, "a run for each of 4 lives", f"{runs}")


def killed_before_the_answer(scene: Scene) -> None:
    """What was on its way when the process is killed is sent again, with its numbers."""
    life = scene.life()

    def kill(_: Request) -> Answer:
        life.kill()
        return Answer(fate="reset")

    marks = life.track(5)
    scene.server.script = kill
    life.flush_until_it_is_killed()
    expect(scene.requests, "a request", "none")
    first_seen = {mark for _, _, mark in numbered(scene.requests)}
    scene.server.script = accept
    following = scene.life()
    following.deliver(marks + following.track(5))
    expect(first_seen <= scene.arrived(), "the batch again", "nothing of it")
    scene.expect_each_event_to_keep_its_number()


def killed_after_the_answer(scene: Scene) -> None:
    """Where the process is killed right after the answer, no number is used for another event."""
    life = scene.life()
    marks = life.track(250)
    before = len(scene.requests)

    def kill(sent: Request) -> Answer:
        answer = accept(sent)
        return Answer(answer.status, answer.body, then=life.kill)

    scene.server.script = kill
    life.flush_until_it_is_killed()
    expect(len(scene.requests) >= before, "a request", "none")
    scene.server.script = accept
    following = scene.life()
    following.deliver(marks + following.track(5))
    scene.expect_each_event_to_keep_its_number()


def quits(scene: Scene) -> None:
    """A game that ends loses nothing: the next one sends what is left."""
    scene.server.script = busy
    life = scene.life()
    marks = life.track(3)
    life.quit()
    scene.server.script = accept
    scene.life().deliver(marks)
    scene.expect_each_event_to_keep_its_number()


def shared_folder(scene: Scene) -> None:
    """Of two processes that share a folder neither loses an event of the other."""
    one, other = scene.life(), scene.life()
    if one.state().get("locks") is False:
        raise NotHere("on its platform there are no locks, and processes must not share a folder")
    marks, others = one.track(3), other.track(3)
    other.deliver(others)
    marks += one.track(3)
    one.deliver(marks)
    scene.expect_each_event_to_keep_its_number()


# --- whose events they are


def another_player(scene: Scene) -> None:
    """Events of another player wait for that player's token, and are never sent with this one."""
    token, other_token = token_for(PLAYER), token_for(OTHER_PLAYER)
    scene.server.script = busy
    life = scene.life(PLAYER, token)
    marks = life.track(3)
    life.kill()
    scene.server.script = accept
    other = scene.life(OTHER_PLAYER, other_token)
    others = other.track(3)
    other.deliver(others)
    other.flush()
    other.kill()
    scene.life(PLAYER, token).deliver(marks)
    players = {token: PLAYER, other_token: OTHER_PLAYER}
    for each in scene.requests:
        named, entitled = each.batch.get("user_id"), players.get(each.token)
        expect(named == entitled, f"events of {entitled} with that token", f"those of {named}")
    of = {
        mark: each.batch.get("user_id")
        for each in scene.requests
        for _, _, mark in numbered([each])
    }
    expect(all(of[each] == PLAYER for each in marks), f"events of {PLAYER} as such", "as another's")
    expect(all(of[each] == OTHER_PLAYER for each in others), f"those of {OTHER_PLAYER}", "others")
    scene.expect_each_event_to_keep_its_number()


def opt_out(scene: Scene) -> None:
    """After an opt-out nothing is sent, nothing is written, and what waited is deleted."""
    scene.server.script = busy
    life = scene.life()
    secret = "said-before-the-opt-out"  # noqa: S105 - no password
    life.track(3, note=secret)
    life.ask("optout")
    told = life.state()
    expect(told.get("queued") == 0, "state to answer 0 queued", told.get("queued"))
    expect(told.get("opted_out") is True, "opted_out true", told.get("opted_out"))
    _expect_nowhere(scene, secret)
    scene.server.script = accept
    life.track(3, note=secret)
    scene.expect_quiet(life, "no request after the opt-out")
    _expect_nowhere(scene, secret)


def opt_out_of_the_next_life(scene: Scene) -> None:
    """An opt-out holds in the next life, too."""
    life = scene.life()
    life.track(1)
    life.ask("optout")
    life.kill()
    following = scene.life()
    told = following.state().get("opted_out")
    expect(told is True, "opted_out true", told)
    secret = "said-after-the-opt-out"  # noqa: S105 - no password
    following.track(3, note=secret)
    scene.expect_quiet(following, "no request after the opt-out")
    _expect_nowhere(scene, secret)


def _expect_nowhere(scene: Scene, said: str) -> None:
    left = [each.name for each in scene.files() if said.encode() in each.read_bytes()]
    expect(not left, "no event on the disk", f"some in {left}")


def opt_in(scene: Scene) -> None:
    """Who opts in again begins a new run, and of the time between nothing is kept."""
    life = scene.life()
    before = life.track(3)
    life.deliver(before)
    life.ask("optout")
    unwanted = life.track(3)
    life.ask("optin")
    marks = life.track(3)
    life.deliver(marks)
    expect(not set(unwanted) & scene.arrived(), "nothing of the time between", "some of it")
    named = {mark: (run, number) for run, number, mark in numbered(scene.requests)}
    expect(named[marks[0]][0] != named[before[0]][0], "another run", "the same run")
    came = [named[each][1] for each in marks]
    expect(came == [0, 1, 2], "its numbers from 0 on", came)


def bound(scene: Scene) -> None:
    """A queue that nobody takes is bounded at about 10 MiB; the oldest events go first."""
    scene.server.script = busy
    life = scene.life()
    marks: list[object] = []
    for _ in range(10):
        marks += life.track(_TO_OVERFLOW // 10, text="x" * _LARGE)
    size = sum(each.stat().st_size for each in scene.files())
    expect(size <= _MAX_QUEUE_BYTES, f"at most {_MAX_QUEUE_BYTES} bytes on the disk", size)
    expect(size >= _LEAST_QUEUE_BYTES, f"at least {_LEAST_QUEUE_BYTES} bytes kept", size)
    life.kill()
    scene.server.script = accept
    scene.life().deliver(marks[-10:])
    arrived = scene.arrived()
    dropped = [each for each in marks if each not in arrived]
    expect(dropped == marks[: len(dropped)], "the oldest to be dropped", "newer ones dropped")
    scene.expect_each_event_to_keep_its_number()


def bound_of_the_settings(scene: Scene) -> None:
    """Where the settings name another bound, that one holds from then on."""
    scene.server.ingest["max_queue_bytes"] = _SMALL_QUEUE_BYTES
    scene.server.script = busy
    life = scene.life()
    life.track(1)
    scene.flush_and_wait_for_a_request(life)
    most = _SMALL_QUEUE_BYTES * 3 // 2
    for _ in range(5):
        marks = life.track(10, text="x" * _LARGE)
        size = sum(each.stat().st_size for each in scene.files())
        expect(size <= most, f"at most {most} bytes on the disk", size)
    life.kill()
    scene.server.script = accept
    scene.life().deliver(marks[-3:])


# --- secrets


def token_in_its_log(scene: Scene) -> None:
    """No token is in what the client writes to standard error, whatever goes wrong."""
    troubles = [
        refusal(401, "UNAUTHORIZED", "invalid_token"),
        refusal(400, "BAD_REQUEST", "invalid_payload"),
        refusal(500, "INTERNAL", "internal_error"),
        Answer(fate="reset"),
    ]
    for trouble in troubles:
        scene.server.script = always(trouble)
        life = scene.life()
        life.track(2)
        scene.flush_and_wait_for_a_request(life)
        life.kill()
    scene.server.script = accept
    life = scene.life()
    life.deliver(life.track(1))
    life.kill()
    for each in scene.lives:
        shown = each.token in each.errors or each.token.rpartition(".")[2] in each.errors
        expect(not shown, "no token on standard error", "the token")


def token_in_its_files(scene: Scene) -> None:
    """No token is in its files: by the time they are sent it may have been replaced."""
    scene.server.script = busy
    life = scene.life()
    life.track(3)
    life.flush()
    life.kill()
    signature = life.token.rpartition(".")[2].encode()
    holding = [each.name for each in scene.files() if signature in each.read_bytes()]
    expect(not holding, "no token in its files", f"one in {holding}")


# --- the settings


def kill_switch(scene: Scene) -> None:
    """Where the settings say enabled: false nothing is sent, and nothing is lost."""
    scene.server.ingest["enabled"] = False
    life = scene.life()
    life.flush()  # some ask only when they have something to do
    scene.wait_for(lambda: life.state().get("disabled") is True, "state to answer disabled")
    marks = life.track(60)
    scene.expect_quiet(life, "no request while enabled is false")
    queued = life.state().get("queued")
    expect(queued == len(marks), f"{len(marks)} queued", queued)
    life.kill()
    scene.server.ingest["enabled"] = True
    scene.life().deliver(marks)


def sampling(scene: Scene) -> None:
    """A type whose share is 0 in the settings is not sent, and takes no numbers."""
    scene.server.ingest["sample"] = {"AdImpression": 0.0, "AppOpen": 1.0}
    life = scene.life()
    until = time.monotonic() + scene.seconds
    while True:  # until it has heard of that
        unwanted = life.track(1, "AdImpression")
        life.deliver(life.track(1))
        life.flush()
        if not set(unwanted) & scene.arrived():
            break
        expect(time.monotonic() < until, "no AdImpression", "one after the other")
        wait(_PAUSE_SECONDS, until)
    unwanted = life.track(5, "AdImpression")
    life.deliver(life.track(5))
    life.deliver(life.track(5))
    expect(not set(unwanted) & scene.arrived(), "no AdImpression", "some")
    came = [number for _, number, _ in numbered(scene.server.taken)]
    expect(came == list(range(len(came))), "numbers without a gap", came)


def broken_settings(scene: Scene) -> None:
    """Settings that cannot be read change nothing."""
    for told in (b"<html>Welcome</html>", b'{"data": [{"ingest": {"enabled": "?", "sample": 7}}]}'):
        scene.server.ingest_instead = told
        life = scene.life()
        life.flush()
        life.deliver(life.track(3))
        life.kill()


CASES = cases(
    killed_while_tracking,
    killed_before_the_answer,
    killed_after_the_answer,
    quits,
    shared_folder,
    another_player,
    opt_out,
    opt_out_of_the_next_life,
    opt_in,
    bound,
    bound_of_the_settings,
    token_in_its_log,
    token_in_its_files,
    kill_switch,
    sampling,
    broken_settings,
)
