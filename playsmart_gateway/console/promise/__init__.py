"""What a 202 means in this gateway, in words: which fault keeps what, by its configuration.

``promise`` is a pure function of ``Terms``; ``routes`` has it beside how things stand, for the
page, and ``doctor`` prints it. Each sentence is that of ``guarantees.md`` for these settings:
whoever changes what survives a fault changes both.
"""

from typing import Literal

import msgspec

from playsmart_gateway.config import Config

Kept = Literal["all", "most", "nothing"]
Database = Literal["sqlite", "postgresql", "memory"]

_NAMES: dict[Database, str] = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "memory": "the memory of the process",
}


class Terms(msgspec.Struct, frozen=True):
    """The settings that decide what survives; durations are in seconds.

    With a ``stream`` events are published, each on ``replicas`` servers, and workers store them in
    the ``database``; what no worker has stored for ``stream_max_age`` is dropped, 0 is never.
    """

    journal: bool = True
    fsync: Literal["interval", "always", "never"] = "interval"
    fsync_interval: float = 0.1
    flush_interval: float = 2.0
    database: Database = "sqlite"
    stream: bool = False
    replicas: int = 1
    stream_max_age: int = 0
    workers: int = 1
    drain: float = 25.0
    keep_days: int = 90
    lake: Literal["folder", "bucket"] | None = None
    lake_interval: float = 10.0
    lake_with_gateway: bool = True


class Fate(msgspec.Struct, frozen=True):
    """A fault, how much is ``kept`` of what was answered with 202, and the same in words."""

    name: str
    fault: str
    kept: Kept
    words: str


class Setting(msgspec.Struct, frozen=True):
    """One setting in words, with the keys that it has in the configuration."""

    name: str
    words: str


class Promise(msgspec.Struct, frozen=True):
    """What a 202 means: in a sentence, fault by fault, and by which settings."""

    headline: str
    fates: list[Fate]
    settings: list[Setting]


def terms_of(config: Config, *, publishes: bool) -> Terms:
    """Return the terms of a configuration; ``publishes`` if its ``storage.url`` is one of NATS."""
    lake = config.lake.url
    return Terms(
        journal=config.journal.enabled,
        fsync=config.journal.fsync,
        fsync_interval=config.journal.fsync_interval_seconds,
        flush_interval=config.buffer.flush_interval_seconds,
        database=_database(config.storage.database_url),
        stream=publishes,
        replicas=config.nats.replicas,
        stream_max_age=config.nats.max_age_seconds,
        workers=config.server.workers,
        drain=config.server.drain_timeout_seconds,
        keep_days=config.runs.keep_days,
        lake=None if lake is None else "bucket" if "://" in lake else "folder",
        lake_interval=config.lake.interval_seconds,
        lake_with_gateway=config.lake.with_gateway,
    )


def _database(url: str) -> Database:
    scheme = url.partition(":")[0]
    return "sqlite" if scheme == "sqlite" else "memory" if scheme == "memory" else "postgresql"


def duration(seconds: float) -> str:
    """Return a time of the configuration as people say it: ``100 ms``, ``2 s``, ``5 min``."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1_000:g} ms"


def promise(terms: Terms) -> Promise:
    """Return what a 202 means under these ``terms``."""
    fates = [
        _killed(terms),
        _power_cut(terms),
        *_away(terms),
        *_journal_full(terms),
        *_stream_lost(terms),
        _disk_lost(terms),
        _stopped(terms),
        _sent_again(terms),
    ]
    return Promise(_headline(terms), fates, _settings(terms))


def _headline(terms: Terms) -> str:
    if not terms.journal:
        return (
            "A 202 says that the events are in the memory of the gateway, and will be stored "
            f"within {duration(terms.flush_interval)} or so."
        )
    where = "on the disk" if terms.fsync == "always" else "in the hands of the operating system"
    said = f"A 202 says that the events are in the journal, {where}, before it is sent."
    return f"{said} Then they go to memory alone." if terms.database == "memory" else said


def _killed(terms: Terms) -> Fate:
    fault = "The process is killed, or dies of a bug"
    if terms.database == "memory":
        return Fate("killed", fault, "nothing", _IN_MEMORY)
    if not terms.journal:
        kept = "published" if terms.stream else "stored"
        words = (
            f"What is {kept} is kept. What waits in memory is lost: as a rule "
            f"{duration(terms.flush_interval)} of events, more while it is slow or away."
        )
        return Fate("killed", fault, "most", words)
    words = "All of it is in the journal, and stored once, after the next start."
    if terms.workers > 1:
        words = (
            "All of it is in the journals, and stored once: a worker that dies is started again, "
            "and the others go on."
        )
    return Fate("killed", fault, "all", words)


_IN_MEMORY = "What is stored is in the memory of the process, and lost with it."


def _power_cut(terms: Terms) -> Fate:
    fault = "The power of this machine is cut"
    if terms.database == "memory":
        return Fate("power_cut", fault, "nothing", _IN_MEMORY)
    if not terms.journal:
        if terms.stream:
            rest = "what is published is with the servers of the stream."
        elif terms.database == "sqlite":
            rest = "and so may be the last commits, which SQLite has not synced yet."
        else:
            rest = "what PostgreSQL has committed is as safe as its own settings make it."
        return Fate("power_cut", fault, "most", f"What waits in memory is lost; {rest}")
    if terms.fsync == "always":
        words = "Each batch is on the disk before it is answered."
        return Fate("power_cut", fault, "all", words)
    if terms.fsync == "interval":
        words = (
            f"Up to {duration(terms.fsync_interval)} of events may be lost, and what came while "
            "the disk synced."
        )
    else:
        words = (
            "What the operating system has not written to the disk yet may be lost: up to half a "
            "minute of events."
        )
    return Fate("power_cut", fault, "most", words)


def _away(terms: Terms) -> list[Fate]:
    """Return what happens while what is behind the gateway cannot be had."""
    place = "in the journal" if terms.journal else "in memory, while the process lives,"
    waits = f"Events go on being answered and wait {place}, while the buffer has room; then it is"
    words = f"{waits} 503, and clients send again."
    found = []
    if terms.stream:
        found.append(Fate("stream_away", "The stream cannot be reached", "all", words))
        words = "Events wait in the stream, until a worker can store them."
        if terms.stream_max_age:
            words = (
                f"Events wait in the stream, but what has waited for "
                f"{duration(terms.stream_max_age)} is lost: nats.max_age_seconds."
            )
    if terms.database != "memory":
        kept: Kept = "most" if terms.stream and terms.stream_max_age else "all"
        fault = "The database is away, locked or full"
        found.append(Fate("store_away", fault, kept, words))
    return found


def _journal_full(terms: Terms) -> list[Fate]:
    if not terms.journal or terms.database == "memory":
        return []
    words = "What was answered is kept. New requests get 503, until the disk takes them again."
    return [Fate("journal_full", "The journal's disk is full, or fails", "all", words)]


def _stream_lost(terms: Terms) -> list[Fate]:
    if not terms.stream:
        return []
    fault = "A server of the stream is lost with its disk"
    if terms.replicas > 1:
        words = f"Each message is on {terms.replicas} servers, and a majority goes on."
        one = Fate("stream_server_lost", fault, "all", words)
    else:
        words = "Each message is on one server: what is published and not stored yet is lost."
        one = Fate("stream_server_lost", fault, "most", words)
    every = "All servers of the stream lose their power at once"
    words = "What NATS has not synced may be lost, unless its sync_interval is always."
    return [one, Fate("stream_power_cut", every, "most", words)]


def _disk_lost(terms: Terms) -> Fate:
    fault = "The disk of this machine is lost"
    lake = " What is in the lake's bucket is kept." if terms.lake == "bucket" else ""
    if terms.database == "memory":
        return Fate("disk_lost", fault, "nothing", _IN_MEMORY)
    if terms.stream:
        words = (
            f"What is not published yet is lost, as a rule {duration(terms.flush_interval)} of "
            "events; the rest is kept if the stream and the database are on other machines."
        )
        return Fate("disk_lost", fault, "most", words)
    if terms.database == "postgresql":
        words = (
            f"What is not stored yet is lost, as a rule {duration(terms.flush_interval)} of "
            "events; the rest is kept if PostgreSQL is on another machine."
        )
        return Fate("disk_lost", fault, "most", words)
    files = "Database and journal are" if terms.journal else "The database is"
    words = f"{files} lost with it, but for your backups.{lake}"
    return Fate("disk_lost", fault, "most" if lake else "nothing", words)


def _stopped(terms: Terms) -> Fate:
    fault = "It is stopped or started again (SIGTERM)"
    if terms.database == "memory":
        return Fate("stopped", fault, "nothing", _IN_MEMORY)
    stored = "published" if terms.stream else "stored"
    if terms.journal:
        words = (
            f"What waits is {stored} first; what is not after {duration(terms.drain)} stays in the "
            "journal for the next start."
        )
        return Fate("stopped", fault, "all", words)
    words = f"What waits is {stored} first; what is not after {duration(terms.drain)} is lost."
    return Fate("stopped", fault, "most", words)


def _sent_again(terms: Terms) -> Fate:
    known = f"for {terms.keep_days} days"
    if terms.database == "memory":
        known = "until the process ends"
    words = (
        "What says run and seq, or an Idempotency-Key, is stored and paid once: it is known "
        f"{known}. Anything else may be there twice."
    )
    return Fate("sent_again", "A client gets no answer, and sends again", "all", words)


def _settings(terms: Terms) -> list[Setting]:
    if not terms.journal:
        journal = "off"
    elif terms.fsync == "interval":
        journal = f"on, synced every {duration(terms.fsync_interval)}"
    else:
        synced = {"always": "synced before each answer", "never": "synced when the kernel likes"}
        journal = f"on, {synced[terms.fsync]}"
    store = _NAMES[terms.database]
    if terms.stream:
        servers = "1 server" if terms.replicas == 1 else f"{terms.replicas} servers"
        store = f"JetStream, on {servers}; then workers write to {store}"
    lake = "none"
    if terms.lake:
        who = "by this gateway" if terms.lake_with_gateway else "by playsmart-gateway lake"
        lake = f"a {terms.lake}, written {who} every {duration(terms.lake_interval)}"
    processes = "1" if terms.workers == 1 else f"{terms.workers}, each with a journal of its own"
    if terms.workers > 1 and not terms.journal:
        processes = str(terms.workers)
    kept = "until playsmart-gateway retention deletes it"
    return [
        Setting("journal", journal),
        Setting("store", store),
        Setting("processes", processes),
        Setting("lake", lake),
        Setting("kept", "until the process ends" if terms.database == "memory" else kept),
    ]
