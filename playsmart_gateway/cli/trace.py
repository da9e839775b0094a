"""``trace``: where the events of a request are now."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import click
import msgspec

from playsmart_gateway.build import jetstream_for
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.log_search import Request, Said, search
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.cli.tables import say_folded
from playsmart_gateway.config import Config
from playsmart_gateway.errors import SinkError
from playsmart_gateway.http.answered import MAX_REFUSED, MAX_TAKEN, Remembered
from playsmart_gateway.pipeline.errands import Unanswered, ask_to_recall
from playsmart_gateway.pipeline.journal_folders import find, held_folders
from playsmart_gateway.pipeline.replay import is_held
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream import look_for
from playsmart_gateway.stream.options import is_nats

PATIENCE_SECONDS = 20.0
"""For a gateway that runs to say what it remembers."""

_NAME = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,17})")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_OF_GATEWAY = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}(-[0-9a-f]{4,12}){2}")
SOON_SECONDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode = msgspec.json.Decoder(list[Remembered]).decode

Place = Literal["store", "dead_letters", "stream", "buffer", "journal", "broken", "nowhere"]

_NEXT: dict[Place, str] = {
    "store": "",
    "dead_letters": "Mend what the reason says, then: playsmart-gateway dead-letters replay {name}",
    "stream": "A worker stores it; see that one runs: playsmart-gateway worker",
    "buffer": "The next flush stores it; if it stays, /readyz and the log say why.",
    "journal": "No gateway runs there: start it, and it stores this first.",
    "broken": "Nothing reads a broken record any more; have the client send it again.",
    "nowhere": "It may be of another gateway or another database, or one from before a restore.",
}


class Traced(msgspec.Struct):
    """One batch and the ``place`` where it was found; what is not known of it is null.

    ``said`` is what the log says of it.
    """

    batch: str
    place: Place = "nowhere"
    source: str | None = None
    game_id: str | None = None
    user_id: str | None = None
    received_at: str | None = None
    event_count: int | None = None
    batch_id: int | None = None
    event_ids: tuple[int, ...] | None = None
    coins_earned: int | None = None
    reason: str | None = None
    buried_at: str | None = None
    file: str | None = None
    said: list[str] = []


class Trace(msgspec.Struct):
    """All that was found out of what was ``asked``, and what to know about how."""

    asked: str
    requests: list[Request]
    batches: list[Traced]
    notes: list[str]

    @property
    def found(self) -> bool:
        """Whether it is told where events are, or why none were taken."""
        return any(each.place != "nowhere" for each in self.batches) or any(
            not each.batch for each in self.requests
        )


@click.command("trace")
@click.argument("asked", metavar="REQUEST_ID|JOURNAL-SEQUENCE")
@config_option
@click.option(
    "--log",
    "lines",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="The gateway's log, of the time of the request, with log.access on; - is standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.pass_context
def trace_command(
    context: click.Context,
    asked: str,
    config_path: Path | None,
    lines: Iterable[str] | None,
    as_json: bool,
) -> None:
    """Tell where the events of a request are: journal, buffer, stream, store or dead letters.

    REQUEST_ID is what the answer had in X-Request-ID, JOURNAL-SEQUENCE the name of a batch, as the
    log and dead-letters print it. Which batch a request became is asked of the gateway that runs,
    which remembers the last ones, and of the log. It changes nothing, and may run beside a gateway,
    as the user who runs it. Exit code 1: nothing is known of it.
    """
    config = read_config(config_path)
    if _REQUEST_ID.fullmatch(asked) is None:
        raise click.UsageError(
            "that is no request id, which is 1 to 128 visible ASCII characters without a space, "
            "and no name of a batch; take it from X-Request-ID of the answer"
        )
    said = Said() if lines is None else search(lines, asked)
    trace = run_async(_trace(config, asked, said))
    if lines is not None:
        trace.notes += _about(said, trace)
    elif not (trace.requests or trace.batches):
        text = (
            "give the log of that time, if log.access was on: --log FILE, or --log - to read a pipe"
        )
        trace.notes.append(text)
    if not trace.found and (made := _OF_GATEWAY.fullmatch(asked)) is not None:
        trace.notes.append(_when(int(made[1] + made[2], 16) / 1_000))
    if as_json:
        print_json({"found": trace.found, **msgspec.to_builtins(trace)})
    else:
        for line in _told(trace):
            indent = len(line) - len(line.lstrip())
            say_folded(line[:indent], line[indent:])
        for note in trace.notes:
            say(f"note: {note}", err=True)
        if not trace.found:
            say(f"error: nothing is known of {asked}", err=True)
    context.exit(0 if trace.found else 1)


async def _trace(config: Config, asked: str, said: Said) -> Trace:
    trace = Trace(asked, said.requests, [], [])
    names = [asked] if _NAME.fullmatch(asked) else []
    if not names:
        trace.requests += await _remembered(config, trace)
    names += [each.batch for each in trace.requests if _NAME.fullmatch(each.batch)]
    for name in dict.fromkeys(names):
        batch = Traced(name, said=said.done.get(name, []))
        trace.batches.append(batch)
        await _locate(config, batch, trace.notes)
    return trace


async def _remembered(config: Config, trace: Trace) -> list[Request]:
    """Ask the gateways that run what they remember, but for what the log told already."""
    if not config.journal.enabled:
        trace.notes.append("the journal is off: a gateway that runs cannot be asked")
        return []
    path = Path(config.journal.path)
    try:
        folders = [each for each in held_folders(path) if is_held(each)]
        answers = await ask_to_recall(folders, trace.asked, PATIENCE_SECONDS)
    except Unanswered as error:
        trace.notes.append(f"the gateway of {error.folder} did not say in time what it remembers")
        return []
    except OSError as error:
        text = f"{path}: {error.strerror}; run this as the user who runs the gateway"
        trace.notes.append(text)
        return []
    if not folders and not trace.requests:
        trace.notes.append(f"no gateway runs with the journal {path} that could be asked")
    found = [
        Request(
            each.status,
            _printed(each.at),
            batch=each.batch,
            reason=each.reason,
            rejected=each.rejected,
            told=each.told,
        )
        for answer in answers
        for each in _decode(answer or b"[]")
    ]
    if folders and not found and not trace.requests:
        trace.notes.append(
            f"the gateway that runs does not remember it: it does the last {MAX_TAKEN:,} requests "
            f"of which it took events, and {MAX_REFUSED:,} that it refused, each worker since it "
            "was started last"
        )
    known = {(each.status, each.batch, each.reason) for each in trace.requests}
    return [each for each in found if (each.status, each.batch, each.reason) not in known]


async def _locate(config: Config, batch: Traced, notes: list[str]) -> None:
    """Look for a batch, in the order in which it goes: so it cannot slip by."""
    _look_in_journal(config, batch, notes)
    if is_nats(config.storage.url):
        await _look_in_stream(config, batch, notes)
    if config.storage.database_url == "memory:":
        notes.append("the store is the gateway's memory, which nobody else can read")
        return
    try:
        await _look_in_store(config.storage.database_url, batch)
    except SinkError as error:
        notes.append(f"the store cannot be asked: {error}. {error.hint}")


def _look_in_journal(config: Config, batch: Traced, notes: list[str]) -> None:
    path = Path(config.journal.path)
    try:
        sightings = find(path, *_parts(batch.batch))
    except OSError as error:
        notes.append(f"{path}: {error.strerror}; run this as the user who runs the gateway")
        return
    for file, found, held in sorted(sightings, key=lambda each: each.batch is not None):
        batch.file = str(file)
        batch.place = "broken" if found is None else "buffer" if held else "journal"
        if found is not None:
            batch.source, batch.game_id, batch.user_id = found.source, found.game_id, found.user_id
            batch.received_at = _printed(found.received_at / 1_000_000)
            batch.event_count = found.count


async def _look_in_stream(config: Config, batch: Traced, notes: list[str]) -> None:
    try:
        look = await look_for(config.storage.url, jetstream_for(config), batch.batch)
    except SinkError as error:
        notes.append(f"the stream cannot be asked: {error}. {error.hint}")
        return
    if (found := look.batch) is not None:
        batch.place, batch.file = "stream", None
        batch.source, batch.game_id, batch.user_id = found.source, found.game_id, found.user_id
        batch.received_at = _printed(found.received_at / 1_000_000)
        batch.event_count = found.count
    elif look.messages > look.looked:
        notes.append(
            f"only the oldest {look.looked:,} of {look.messages:,} batches in the stream were "
            "looked at: it may be among the others"
        )


async def _look_in_store(url: str, batch: Traced) -> None:
    name = _parts(batch.batch)
    async with open_store(url).reader() as reader:
        if await reader.buried_batch(*name) is not None:
            letters = await reader.buried()
            letter = next((each for each in letters if each.name == batch.batch), None)
            if letter is not None:
                batch.place, batch.file = "dead_letters", None
                batch.reason, batch.buried_at = letter.reason, letter.buried_at
                batch.source, batch.game_id, batch.user_id = (
                    letter.source, letter.game_id, letter.user_id,
                )  # fmt: skip
                batch.received_at, batch.event_count = letter.received_at, letter.event_count
        if (stored := await reader.stored_batch(*name)) is not None:
            outcomes = await reader.outcomes([name])
            batch.place, batch.file = "store", None
            batch.source, batch.game_id, batch.user_id = (
                stored.source, stored.game_id, stored.user_id,
            )  # fmt: skip
            batch.received_at, batch.batch_id = stored.received_at, stored.batch_id
            batch.event_ids, batch.event_count = stored.event_ids, len(stored.event_ids)
            batch.coins_earned = outcomes[name].coins


def _about(said: Said, trace: Trace) -> Iterator[str]:
    """Yield what to know of the log, if it does not say what was asked."""
    if said.gaps:
        yield "records of the log were dropped, as nobody read it: the line may be one of them"
    if said.requests:
        return
    if not said.answers:
        yield "the log has no answers: log.access was off, or it is no log of a gateway"
    elif not _NAME.fullmatch(trace.asked):
        yield (
            f"none of the {said.answers:,} answers in the log, from {said.first} to {said.last}, "
            "has that id: if it came, then at another time"
        )


def _when(seconds: float) -> str:
    """Say what the time in an id of a gateway's own is good for."""
    first, last = _printed(seconds), _printed(seconds + SOON_SECONDS)
    return (
        f"that id was made at {first}; what came then is in the relation events, with a "
        f"received_at BETWEEN '{first}' AND '{last}'"
    )


def _told(trace: Trace) -> Iterator[str]:
    for request in trace.requests:
        yield _line_of(request)
    for batch in trace.batches:
        yield f"batch {batch.batch}{_header_of(batch)}"
        yield f"  {_where(batch)}"
        yield from (f"  the log says: {each}" for each in batch.said)
        if advice := _NEXT[batch.place].format(name=batch.batch):
            yield f"  {advice}"


def _line_of(request: Request) -> str:
    when = f"{request.time} " if request.time else ""
    what = f"{request.method} {request.route} " if request.method else "request "
    if request.reason:
        told = f" ({request.told})" if request.told else ""
        text = f"was refused with {request.status} {request.reason}{told}: nothing of it was taken"
    elif request.batch:
        text = f"was answered {request.status} and became the batch {request.batch}"
        if request.rejected:
            text += f"; {request.rejected} of its events were wrong, and told so"
    else:
        text = f"was answered {request.status}; no batch was taken of it"
    return f"{when}{what}{text}"


def _header_of(batch: Traced) -> str:
    if batch.received_at is None:
        return ""
    events = "event" if batch.event_count == 1 else "events"
    who = f"player {batch.user_id}" if batch.user_id else "several players, or one who was erased"
    return (
        f": {batch.event_count} {events} of {who} in {batch.game_id} ({batch.source}), received "
        f"{batch.received_at}"
    )


def _where(batch: Traced) -> str:
    if batch.place == "store":
        ids = batch.event_ids or ()
        if not ids:
            gone = "its events went by retention or erase, or had come in other batches"
            return f"is stored as batch_id {batch.batch_id}; {gone}"
        last = f" to {ids[-1]}" if len(ids) > 1 else ""
        return (
            f"is stored as batch_id {batch.batch_id}, event_id {ids[0]}{last}; "
            f"{batch.coins_earned} coins earned"
        )
    texts: dict[Place, str] = {
        "dead_letters": f"is in dead_letters since {batch.buried_at}: {batch.reason}",
        "stream": "is in the stream, and not stored yet",
        "buffer": f"waits in the buffer of the gateway that runs, and in {batch.file}",
        "journal": f"waits in {batch.file}",
        "broken": f"is broken in {batch.file}",
    }
    return texts.get(batch.place, "is in no journal, store or dead letter here")


def _parts(name: str) -> tuple[str, int]:
    journal, _, sequence = name.partition("-")
    return journal, int(sequence)


def _printed(seconds: float) -> str:
    if not seconds:
        return ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"
