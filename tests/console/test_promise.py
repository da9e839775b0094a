"""What a 202 means, in words: true of each configuration, and never against itself."""

import re
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.config import Buffer, Config, Journal, Lake, Nats, Server, Storage
from playsmart_gateway.console.promise import Fate, Terms, duration, promise, terms_of

RANK = {"nothing": 0, "most": 1, "all": 2}
EVERY = [
    msgspec.convert(
        {
            "journal": journal, "fsync": fsync, "database": database, "stream": stream,
            "replicas": replicas, "stream_max_age": age, "workers": workers, "lake": lake,
            "lake_with_gateway": beside,
        },
        Terms,
    )
    for journal, fsync, database, stream, replicas, age, workers, lake, beside in product(
        (True, False), ("interval", "always", "never"), ("sqlite", "postgresql", "memory"),
        (True, False), (1, 3), (0, 3_600), (1, 4), (None, "folder", "bucket"), (True, False),
    )
]  # fmt: skip


def fates(terms: Terms) -> dict[str, Fate]:
    found = promise(terms).fates
    by_name = {each.name: each for each in found}
    assert len(by_name) == len(found)
    return by_name


# --- what each setting means ---------------------------------------------------------------------


def test_as_it_comes_a_killed_process_loses_nothing_and_a_power_cut_a_tenth_of_a_second() -> None:
    told = fates(terms_of(Config(), publishes=False))
    assert told["killed"].kept == "all"
    assert told["power_cut"].kept == "most"
    assert "Up to 100 ms of events may be lost" in told["power_cut"].words
    assert told["stopped"].kept == "all"
    assert told["disk_lost"].kept == "nothing"
    assert {"stream_away", "stream_server_lost"}.isdisjoint(told)


@pytest.mark.parametrize(
    ("fsync", "kept", "words"),
    [
        ("always", "all", "on the disk before it is answered"),
        ("interval", "most", "Up to 50 ms of events may be lost"),
        ("never", "most", "up to half a minute"),
    ],
)
def test_what_a_power_cut_takes_is_what_the_journal_has_not_synced(
    fsync: str, kept: str, words: str
) -> None:
    config = Config(
        journal=msgspec.convert({"fsync": fsync, "fsync_interval_seconds": 0.05}, Journal)
    )
    cut = fates(terms_of(config, publishes=False))["power_cut"]
    assert (cut.kept, words in cut.words) == (kept, True)


def test_without_a_journal_what_waits_in_memory_dies_with_the_process() -> None:
    config = Config(
        journal=Journal(enabled=False, fsync="always"), buffer=Buffer(flush_interval_seconds=5)
    )
    told = promise(terms_of(config, publishes=False))
    found = {each.name: each for each in told.fates}
    assert "in the memory of the gateway" in told.headline
    assert found["killed"].kept == "most"
    assert "5 s of events" in found["killed"].words
    assert found["power_cut"].kept == "most"
    assert found["stopped"].kept == "most"
    assert "journal_full" not in found


def test_a_store_in_memory_keeps_nothing_whatever_the_journal_does() -> None:
    for terms in EVERY:
        if terms.database == "memory":
            told = fates(terms)
            for name in ("killed", "power_cut", "disk_lost", "stopped"):
                assert told[name].kept == "nothing"


def test_of_a_stream_it_is_said_how_many_servers_may_be_lost() -> None:
    config = Config(
        storage=Storage(url="nats://n1", reads_url="postgresql://u:hunter2@db/x"),
        nats=Nats(replicas=3, max_age_seconds=86_400),
    )
    terms = terms_of(config, publishes=True)
    told = fates(terms)
    assert told["stream_server_lost"].kept == "all"
    assert "on 3 servers" in told["stream_server_lost"].words
    assert told["store_away"].kept == "most"
    assert "waited for 1 d is lost" in told["store_away"].words
    alone = fates(msgspec.structs.replace(terms, replicas=1, stream_max_age=0))
    assert alone["stream_server_lost"].kept == "most"
    assert alone["store_away"].kept == "all"


def test_workers_are_said_to_be_started_again_only_if_there_are_some() -> None:
    for workers, said in ((1, False), (4, True)):
        config = Config(server=Server(workers=workers))
        assert ("started again" in fates(terms_of(config, publishes=False))["killed"].words) is said


@pytest.mark.parametrize(
    ("url", "kind", "kept"),
    [(None, None, "nothing"), ("data/lake", "folder", "nothing"), ("s3://b/p", "bucket", "most")],
)
def test_only_a_lake_elsewhere_outlives_the_disk(url: str | None, kind: str, kept: str) -> None:
    terms = terms_of(Config(lake=Lake(url=url)), publishes=False)
    assert terms.lake == kind
    assert fates(terms)["disk_lost"].kept == kept


def test_no_address_user_or_password_is_in_it() -> None:
    for url, publishes in (
        ("postgresql://ada:hunter2@db.example/x", False),
        ("nats://ada:hunter2@n1", True),
    ):
        config = Config(
            storage=Storage(url=url, reads_url="postgresql://ada:hunter2@db.example/x"),
            lake=Lake(url="s3://bucket-name/prefix?endpoint_override=hunter2"),
        )
        said = msgspec.json.encode(promise(terms_of(config, publishes=publishes))).decode()
        for word in ("hunter2", "ada", "db.example", "n1", "bucket-name", "prefix"):
            assert word not in said


# --- of every configuration ----------------------------------------------------------------------


def test_every_configuration_has_whole_sentences_and_none_against_another() -> None:
    for terms in EVERY:
        told = promise(terms)
        for text in (told.headline, *(each.words for each in told.fates)):
            assert re.fullmatch(r"[A-Z].*[^ .]\.", text), text
            assert not re.search(r"None|nan|inf|  |\.\.|\{|\}", text), text
        for fate in told.fates:
            assert fate.fault
            if fate.kept == "all":
                assert "lost" not in fate.words, fate
            else:
                assert "lost" in fate.words, fate
            if not terms.journal:
                assert "journal" not in fate.words, fate
            if not terms.stream:
                assert "stream" not in fate.words, fate
        assert ("journal" in told.headline) is terms.journal
        assert [each.name for each in told.settings] == [
            "journal", "store", "processes", "lake", "kept",
        ]  # fmt: skip
        assert all(each.words for each in told.settings)


def test_who_says_that_a_power_cut_takes_nothing_says_the_same_of_a_kill() -> None:
    for terms in EVERY:
        told = fates(terms)
        assert RANK[told["power_cut"].kept] <= RANK[told["killed"].kept]
        assert RANK[told["disk_lost"].kept] <= RANK[told["power_cut"].kept]


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ({"journal": False}, {"journal": True}),
        ({"fsync": "never"}, {"fsync": "interval"}),
        ({"fsync": "interval"}, {"fsync": "always"}),
        ({"replicas": 1}, {"replicas": 3}),
        ({"stream_max_age": 3_600}, {"stream_max_age": 0}),
        ({"database": "memory"}, {"database": "sqlite"}),
        ({"database": "memory"}, {"database": "postgresql"}),
        ({"lake": None}, {"lake": "bucket"}),
    ],
    ids=str,
)
def test_a_stronger_setting_never_keeps_less(
    weaker: dict[str, object], stronger: dict[str, object]
) -> None:
    for terms in EVERY:
        less = fates(msgspec.structs.replace(terms, **weaker))
        more = fates(msgspec.structs.replace(terms, **stronger))
        for name in less.keys() & more.keys():
            assert RANK[less[name].kept] <= RANK[more[name].kept], (name, terms)


@given(st.floats(min_value=0.001, max_value=86_400))
def test_a_duration_is_said_with_a_unit_and_is_the_one_that_is_meant(seconds: float) -> None:
    number, unit = duration(seconds).split(" ")
    size = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=1e-4)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.05, "50 ms"), (0.1, "100 ms"), (1, "1 s"), (2.5, "2.5 s"), (90, "90 s"), (300, "5 min")],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said
