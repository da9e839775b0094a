"""Cases about requests: what is in them, in which order they come, and that none is for nothing."""

import re
import time
from datetime import UTC, datetime, timedelta

from playsmart_gateway.clients.conformance.case import cases
from playsmart_gateway.clients.conformance.scene import (
    GAME,
    Life,
    NotHere,
    Scene,
    expect,
    numbered,
)
from playsmart_gateway.clients.conformance.server import (
    MAX_BODY_BYTES,
    MAX_EVENTS,
    Answer,
    Request,
    accept,
    busy,
    first,
    refusal,
)

_RUN = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AN_HOUR = timedelta(hours=1)
_SLOW_SECONDS = 0.1
_SMALL_BYTES = 1_000


def request(scene: Scene) -> None:
    """A batch is JSON with player, game and events, and its token is in the header."""
    life = scene.life()
    life.deliver(life.track(3))
    sent = scene.requests[0]
    kind = sent.headers.get("content-type", "none")
    expect(kind.partition(";")[0].strip() == "application/json", "application/json", kind)
    expect(sent.token == life.token, "Authorization: Bearer with the token", "another")
    for name, wanted in (("user_id", life.player), ("game_id", GAME)):
        expect(sent.batch.get(name) == wanted, f"{name} {wanted}", sent.batch.get(name))
    for event in sent.events:
        expect(event.get("type") == "AppOpen", "the type that was tracked", event.get("type"))
        _moment(event.get("timestamp"), "timestamp")


def numbers(scene: Scene) -> None:
    """Batches say their run, a UUID in lower case, and number its events from 0 on."""
    life = scene.life()
    for count in (3, 1, 5):
        life.deliver(life.track(count))
    sent = list(numbered(scene.requests))
    runs = {run for run, _, _ in sent}
    expect(len(runs) == 1, "one run", f"{len(runs)} runs")
    run = runs.pop()
    expect(isinstance(run, str) and _RUN.fullmatch(run), "a UUID in lower case", run)
    came = [number for _, number, _ in sent]
    expect(came == list(range(9)), "the numbers 0 to 8", came)
    for each in scene.requests:
        expect(isinstance(each.batch.get("seq"), int), "seq in each batch", each.batch.get("seq"))


def custom_event(scene: Scene) -> None:
    """An event of one's own goes as Custom, with its name."""
    life = scene.life()
    life.ask("track", type="Custom", name="boss_fight", data={"n": 0, "won": True})
    life.deliver([0])
    event = scene.requests[0].events[0]
    for name, wanted in (("type", "Custom"), ("customEventName", "boss_fight")):
        expect(event.get(name) == wanted, f"{name} {wanted}", event.get(name))
    expect(event.get("customdata") == {"n": 0, "won": True}, "its data", event.get("customdata"))


def any_text(scene: Scene) -> None:
    """Quotes, line ends and letters of any script arrive as they were tracked."""
    text = 'a "quoted"\r\nline\u2028\u0000\t\\ über 日本語 🎮'
    life = scene.life()
    life.deliver(life.track(2, text=text))
    for event in scene.requests[0].events:
        came = event["customdata"].get("text")
        expect(came == text, f"the text {text!r}", repr(came))


def gzip(scene: Scene) -> None:
    """Where a body is packed it is gzip, says so, and can be read."""
    life = scene.life()
    life.deliver(life.track(60, note="lines of events are much alike"))
    expect(all(each.batch for each in scene.requests), "bodies in JSON", "others")
    codings = {each.headers.get("content-encoding", "") for each in scene.requests}
    if codings == {""}:
        raise NotHere("the client packs nothing, which is allowed")
    expect(codings <= {"", "gzip"}, "gzip", codings)


def small_is_plain(scene: Scene) -> None:
    """What is smaller than 1 kB is not packed: that would save nothing."""
    life = scene.life()
    life.deliver(life.track(1))
    codings = {
        each.headers.get("content-encoding", "")
        for each in scene.requests
        if len(each.body) < _SMALL_BYTES
    }
    expect(codings <= {""}, "no Content-Encoding", codings)


def no_gzip(scene: Scene) -> None:
    """Where the settings name no coding nothing is packed."""
    scene.server.ingest["encodings"] = []
    life = scene.life()
    life.deliver(life.track(60, note="lines of events are much alike"))
    codings = {each.headers.get("content-encoding", "") for each in scene.requests}
    expect(codings == {""}, "no Content-Encoding", codings)


def order(scene: Scene) -> None:
    """What is oldest goes first, that of earlier lives before one's own."""
    scene.server.script = busy
    marks: list[object] = []
    for _ in range(2):
        earlier = scene.life()
        marks += earlier.track(2)
        earlier.kill()
        time.sleep(0.01)  # names of files sort by time
    scene.server.script = accept
    life = scene.life()
    marks += life.track(150)
    life.deliver(marks)
    came = [mark for _, _, mark in numbered(scene.server.taken)]
    expect(came == marks, "events in the order in which they were tracked", "another order")


def one_at_a_time(scene: Scene) -> None:
    """One request is under way at a time, whatever asks for the next."""

    def slowly(sent: Request) -> Answer:
        time.sleep(_SLOW_SECONDS)
        return accept(sent)

    scene.server.script = slowly
    life = scene.life()
    marks: list[object] = []
    for _ in range(3):
        marks += life.track(110)
        life.ask_at_once("flush", "background", "flush")
    life.deliver(marks)
    expect(scene.server.busiest == 1, "one at a time", f"{scene.server.busiest} at once")


def once_only(scene: Scene) -> None:
    """What was answered with 202 is deleted, and not sent again by this life or the next."""
    life = scene.life()
    life.deliver(life.track(5))
    scene.expect_quiet(life, "nothing to be sent again")
    life.kill()
    scene.expect_quiet(scene.life(), "nothing to be sent again by the next life")


def many(scene: Scene) -> None:
    """10,000 events that wait go out in order, each once, in batches that the gateway takes."""
    scene.server.stop()
    life = scene.life()
    marks = life.track(10_000)
    scene.server.start()
    life.deliver(marks)
    largest = max(len(each.events) for each in scene.requests)
    expect(largest <= MAX_EVENTS, f"at most {MAX_EVENTS} events a batch", largest)
    longest = max(len(each.body) for each in scene.requests)
    expect(longest <= MAX_BODY_BYTES, f"at most {MAX_BODY_BYTES} bytes a batch", longest)
    came = [mark for _, _, mark in numbered(scene.server.taken)]
    expect(len(came) == len(marks), f"{len(marks)} events", f"{len(came)}")
    expect(came == marks, "all in their order", "another order")
    scene.expect_each_event_to_keep_its_number()


def sent_at(scene: Scene) -> None:
    """What it says as sent_at is the time of this attempt, new when a batch is sent again."""
    scene.server.script = first(refusal(503, "UNAVAILABLE", "buffer_full", 1))
    life = scene.life()
    life.deliver(life.track(3))
    before, after = (_sent_at(each) for each in (scene.requests[0], scene.requests[-1]))
    expect(after > before, f"a time after {before}", after)


def sent_at_of_another_life(scene: Scene) -> None:
    """Batches of an earlier life have no sent_at: its clock may have been another."""
    scene.server.script = busy
    earlier = scene.life()
    marks = earlier.track(3)
    earlier.kill()
    scene.server.script = accept
    life = scene.life()
    life.deliver([*marks, *life.track(1)])
    runs = [each.batch.get("run") for each in scene.server.taken]
    expect(runs[0] != runs[-1], "a run for each life", "one run")
    for each in scene.server.taken:
        if each.batch.get("run") != runs[-1]:
            expect("sent_at" not in each.batch, "no sent_at", each.batch.get("sent_at"))


def clock_of_the_gateway(scene: Scene) -> None:
    """Times are by the client's own clock, though the gateway's is a day ahead."""
    scene.server.clock_ahead_seconds = 86_400
    life = scene.life()
    life.deliver(life.track(1))
    life.deliver(life.track(1))
    now = datetime.now(UTC)
    last = scene.requests[-1]
    stamp = _moment(last.events[0].get("timestamp"), "timestamp")
    expect(abs(stamp - now) < _AN_HOUR, f"a timestamp near {now}", stamp)
    told = _sent_at(last)
    expect(abs(told - now) < _AN_HOUR, f"a sent_at near {now}", told)


def clock_jump(scene: Scene) -> None:
    """Where the phone's clock is set a new run begins, and no event is lost."""
    life = scene.life()
    marks = life.track(3)
    life.ask("clock", seconds=7_200)
    marks += life.track(3)
    life.deliver(marks)
    scene.expect_each_event_to_keep_its_number()
    runs = {mark: run for run, _, mark in numbered(scene.requests)}
    expect(runs[marks[0]] != runs[marks[-1]], "another run after the jump", "the same run")


def background(scene: Scene) -> None:
    """What waits is sent when the game goes to the background."""
    life = scene.life()
    marks = life.track(3)
    life.ask("background")
    _wait_for(scene, marks)


def sends_at_fifty(scene: Scene) -> None:
    """A client that is left alone sends 50 new events at once."""
    life = _left_alone(scene, flush_seconds=3_600)
    _wait_for(scene, life.track(50))


def sends_in_time(scene: Scene) -> None:
    """A client that is left alone sends every flush_seconds of the settings."""
    life = _left_alone(scene, flush_seconds=1)
    for _ in range(2):
        _wait_for(scene, life.track(1))


def sends_at_the_start(scene: Scene) -> None:
    """A client that is left alone sends at its start what an earlier life has left."""
    scene.server.script = busy
    earlier = scene.life()
    marks = earlier.track(3)
    earlier.kill()
    scene.server.script = accept
    _left_alone(scene, flush_seconds=3_600)
    _wait_for(scene, marks)


def _left_alone(scene: Scene, flush_seconds: int) -> Life:
    """Start a client that sends by itself, and wait until it has asked for its settings."""
    scene.server.ingest["flush_seconds"] = flush_seconds
    life = scene.life()
    life.ask("alone")
    scene.wait_for(lambda: scene.server.settings_asked, "a question for the settings")
    return life


def _wait_for(scene: Scene, marks: list[object]) -> None:
    scene.wait_for(lambda: set(marks) <= scene.arrived(), f"{len(marks)} events to arrive")


def _sent_at(sent: Request) -> datetime:
    if "sent_at" not in sent.batch:
        raise NotHere("the client does not say when it sends, which is allowed")
    return _moment(sent.batch["sent_at"], "sent_at")


def _moment(text: object, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    wanted = f"{name} in ISO 8601 with an offset"
    expect(moment is not None and moment.tzinfo is not None, wanted, text)
    assert moment is not None
    return moment


CASES = cases(
    request,
    numbers,
    custom_event,
    any_text,
    gzip,
    small_is_plain,
    no_gzip,
    order,
    one_at_a_time,
    once_only,
    many,
    sent_at,
    sent_at_of_another_life,
    clock_of_the_gateway,
    clock_jump,
    background,
    sends_at_fifty,
    sends_in_time,
    sends_at_the_start,
)
