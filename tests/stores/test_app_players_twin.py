"""Players of apps: whatever comes and however it is flushed, databases and plain Python agree."""

from typing import Any

from hypothesis import strategies as st

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from tests.support.app_batches import (
    Kept,
    analytics,
    session,
    spin,
)
from tests.support.stores import empty, for_all

PAST = "2000-01-01T00:00:00.000000Z"
FUTURE = "2999-01-01T00:00:00.000000Z"
APPS = ("app", "other")
PLAYERS = ("ada", "bob", "eve")
apps = st.sampled_from(["app", "app", "app", "other"])
players = st.sampled_from(PLAYERS)

ACTS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "session": st.tuples(
        apps,
        players,
        st.sampled_from(["", "US", "DE"]),
        st.sampled_from(["", "1@x.de", "1@x.de", "2@x.de", "2@x.de"]),
        st.booleans(),
    ),
    "events": st.tuples(apps, st.lists(players, min_size=1, max_size=3)),
    "exclude": st.tuples(apps, players, st.sampled_from([None, PAST, FUTURE])),
    "include": st.tuples(apps, players),
    "opt": st.tuples(apps, players, st.sampled_from(["email", "push", "sms"])),
    "flush": st.tuples(st.booleans()),
}
acts: st.SearchStrategy[tuple[Any, ...]] = st.sampled_from(
    ["session"] * 6 + ["flush"] * 3 + list(ACTS)
).flatmap(lambda act: st.tuples(st.just(act), ACTS[act]))


async def everything(kept: Kept) -> list[Any]:
    async with kept.sink.reader() as reader:
        return [
            *[await reader.countries(app, PLAYERS) for app in APPS],
            *[await reader.app_player(app, player) for app in APPS for player in PLAYERS],
            *[await reader.action_statistics(app) for app in APPS],
            await kept.emails(),
            await kept.events(),
            await kept.batch_counts(),
        ]


@for_all(60, acted=st.lists(acts, min_size=5, max_size=30))
async def test_each_store_knows_of_players_what_plain_python_knows_whatever_the_flushes_were(
    database_url: str, acted: list[tuple[Any, ...]]
) -> None:
    """Python stores one batch at a time; a database in flushes of any size, some of them twice."""
    await empty(database_url)
    oracle = Kept(MemorySink(), "memory:")
    waiting: list[Batch] = []
    flushed: list[Batch] = []
    async with open_store(database_url) as sink:
        for sequence, act in enumerate([*acted, ("flush", (True,))]):
            match (act[0], *act[1]):
                case ("session", app, user, country, email, installs):
                    waiting.append(
                        session(
                            sequence, user, app=app, country=country, email=email, installs=installs
                        )
                    )
                case ("events", app, users):
                    waiting.append(analytics(sequence, *map(spin, users), app=app))
                case ("flush", repeated):
                    expected = [await oracle.sink.write([each]) for each in waiting]
                    written = await sink.write(waiting)
                    assert written.stored == sum(each.stored for each in expected)
                    assert written.duplicate == sum(each.duplicate for each in expected)
                    flushed += waiting
                    if repeated:
                        again = await sink.write(flushed)
                        assert again.stored == 0
                    assert await Kept(sink, database_url).emails() == await oracle.emails()
                    waiting = []
                case ("exclude", app, user, until):
                    for store in (sink, oracle.sink):
                        await store.exclude(app, user, until)
                case ("include", app, user):
                    assert await sink.include(app, user) == await oracle.sink.include(app, user)
                case ("opt", app, user, channel):
                    known = [
                        await store.set_opt_out(app, user, channel, "opt_out")
                        for store in (sink, oracle.sink)
                    ]
                    assert known[0] == known[1]
        assert await everything(Kept(sink, database_url)) == await everything(oracle)
