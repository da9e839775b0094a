"""The players of apps (contract ``teak.md`` section 7): sessions, emails, properties, sums."""

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import aiosqlite

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, TEAK, first_event_id
from playsmart_gateway.events.sessions import (
    INSTALLED_PLACE,
    Session,
)
from playsmart_gateway.stores.models import (
    ActionStatistics,
    AppPlayer,
    Channel,
    OptOutState,
    PropertyValue,
    Statistics,
)
from playsmart_gateway.stores.sqlite.inserting import extracts

_SESSION = extracts(("batch", *Session._fields))
_SEE_PLAYERS = f"""
    INSERT INTO app_players
        (app_id, user_id, country_code, timezone_id, installed_event_id,
         first_seen_at, last_seen_at)
    SELECT {_SESSION["app_id"]}, {_SESSION["user_id"]}, {_SESSION["country_code"]},
           {_SESSION["timezone_id"]},
           iif({_SESSION["installs"]}, batch_id * {MAX_EVENTS_PER_BATCH} + {INSTALLED_PLACE}, NULL),
           received_at, received_at
    FROM json_each(?) CROSS JOIN batches ON batch_id = {_SESSION["batch"]}
    WHERE true
    ON CONFLICT DO UPDATE SET
        country_code = excluded.country_code,
        timezone_id = excluded.timezone_id,
        installed_event_id = ifnull(installed_event_id, excluded.installed_event_id),
        last_seen_at = excluded.last_seen_at,
        sessions = sessions + 1
"""  # noqa: S608 - built from our own constants
_REPEATED_INSTALLS = f"""
    SELECT {_SESSION["batch"]}
    FROM json_each(?) CROSS JOIN app_players
    ON app_id = {_SESSION["app_id"]} AND user_id = {_SESSION["user_id"]}
    WHERE {_SESSION["installs"]}
    AND installed_event_id <> {_SESSION["batch"]} * {MAX_EVENTS_PER_BATCH} + {INSTALLED_PLACE}
"""  # noqa: S608 - built from our own constants
_EXCLUDED = f"""
    SELECT app_id, user_id FROM app_exclusions
    WHERE (app_id, user_id) IN (
        SELECT {_SESSION["app_id"]}, {_SESSION["user_id"]} FROM json_each(?)
    ) AND (expire_at IS NULL OR expire_at > strftime('%Y-%m-%dT%H:%M:%fZ'))
"""  # noqa: S608 - built from our own constants
_PLAYER = """
    SELECT country_code, email_state, push_state, sms_state
    FROM app_players WHERE app_id = ? AND user_id = ?
"""
_PROPERTIES = "SELECT name, kind, value FROM app_properties WHERE app_id = ? AND user_id = ?"
_COUNTRIES = """
    SELECT user_id, country_code FROM app_players
    WHERE app_id = ? AND user_id IN (SELECT value FROM json_each(?))
"""
_ACTIONS = f"""
    SELECT type, ifnull(customdata ->> '$.country_code', ''), customdata -> '$.event_count',
           customdata -> '$.value', customdata -> '$.sum_of_squares'
    FROM batches CROSS JOIN event_rows
        ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                    AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    WHERE source = '{TEAK}' AND game_id = ?
"""  # noqa: S608 - built from our own constants


async def track_sessions(db: aiosqlite.Connection, sessions: Sequence[tuple[int, Session]]) -> int:
    """Bring players up to date with sessions and their batch ids, in the order they came.

    Returns how many ``Installed`` events had come before and were taken out again.
    """
    text = json.dumps([(batch_id, *session) for batch_id, session in sessions])
    await db.execute(_SEE_PLAYERS, (text,))
    repeats = await db.execute_fetchall(_REPEATED_INSTALLS, (text,))
    for (batch_id,) in repeats:
        event_id = first_event_id(batch_id) + INSTALLED_PLACE
        await db.execute("DELETE FROM event_rows WHERE event_id = ?", (event_id,))
        await db.execute(
            "UPDATE batches SET event_count = event_count - 1 WHERE batch_id = ?", (batch_id,)
        )
    if any(session.email for _, session in sessions):
        excluded = {tuple(row) for row in await db.execute_fetchall(_EXCLUDED, (text,))}
        await _assign_emails(
            db, [each for _, each in sessions if (each.app_id, each.user_id) not in excluded]
        )
    return len(list(repeats))


async def _assign_emails(db: aiosqlite.Connection, sessions: Sequence[Session]) -> None:
    """Give each player their email; whoever had it before has none then (contract section 7)."""
    owners: dict[tuple[str, str], str] = {}
    latest: dict[tuple[str, str], str] = {}
    for session in sessions:
        if session.email:
            owners[session.app_id, session.email] = session.user_id
            latest[session.app_id, session.user_id] = session.email
    await db.execute(
        "UPDATE app_players SET email = NULL WHERE (app_id, email) IN"
        " (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
        (json.dumps(list(owners)),),
    )
    await db.executemany(
        "UPDATE app_players SET email = ? WHERE app_id = ? AND user_id = ?",
        [
            (email if owners[app_id, email] == user_id else None, app_id, user_id)
            for (app_id, user_id), email in latest.items()
        ],
    )


# ---- What is asked for ----------------------------------------------------------------------


async def countries(
    db: aiosqlite.Connection, app_id: str, user_ids: Collection[str]
) -> dict[str, str]:
    """See ``Reader.countries``."""
    rows = await db.execute_fetchall(_COUNTRIES, (app_id, json.dumps(list(user_ids))))
    return {user_id: country for user_id, country in rows}  # noqa: C416 - a Row is no tuple


async def app_player(db: aiosqlite.Connection, app_id: str, user_id: str) -> AppPlayer:
    """See ``Reader.app_player``."""
    properties = await _properties(db, app_id, user_id)
    for country_code, email, push, sms in await db.execute_fetchall(_PLAYER, (app_id, user_id)):
        states: dict[Channel, OptOutState] = {"email": email, "push": push, "sms": sms}
        return AppPlayer(country_code, states, properties)
    return AppPlayer(properties=properties)


async def action_statistics(db: aiosqlite.Connection, app_id: str) -> list[ActionStatistics]:
    """See ``Reader.action_statistics``; sums are exact, whatever the numbers."""
    found: dict[tuple[str, str], Statistics] = {}
    async with db.execute(_ACTIONS, (app_id,)) as cursor:
        while rows := await cursor.fetchmany(5_000):
            for kind, country, count, value, squares in rows:
                sums = found.setdefault((kind, country), Statistics())
                sums.add(int(count or 1), Decimal(value or 1), Decimal(squares or 1))
    return [
        ActionStatistics(kind, country, found[kind, country]) for kind, country in sorted(found)
    ]


# ---- What is changed ------------------------------------------------------------------------


async def set_properties(
    db: aiosqlite.Connection, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
) -> dict[str, PropertyValue]:
    """See ``Store.set_properties``."""
    before = await _properties(db, app_id, user_id)
    await db.executemany(
        "INSERT INTO app_properties (app_id, user_id, name, kind, value) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET kind = excluded.kind, value = excluded.value",
        [
            (app_id, user_id, name, "string", value)
            if isinstance(value, str)
            else (app_id, user_id, name, "number", f"{value:f}")
            for name, value in values.items()
        ],
    )
    return {name: before[name] for name in values if name in before}


async def exclude(
    db: aiosqlite.Connection, app_id: str, user_id: str, expire_at: str | None
) -> None:
    """See ``Store.exclude``."""
    await db.execute(
        "INSERT INTO app_exclusions (app_id, user_id, expire_at) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET expire_at = excluded.expire_at",
        (app_id, user_id, expire_at),
    )
    await db.execute(
        "UPDATE app_players SET email = NULL WHERE app_id = ? AND user_id = ?", (app_id, user_id)
    )


async def include(db: aiosqlite.Connection, app_id: str, user_id: str) -> bool:
    """See ``Store.include``."""
    cursor = await db.execute(
        "DELETE FROM app_exclusions WHERE app_id = ? AND user_id = ?", (app_id, user_id)
    )
    return cursor.rowcount > 0


async def set_opt_out(
    db: aiosqlite.Connection, app_id: str, user_id: str, channel: Channel, state: OptOutState
) -> bool:
    """See ``Store.set_opt_out``."""
    cursor = await db.execute(
        f"UPDATE app_players SET {channel}_state = ?"  # noqa: S608 - a channel is a literal
        " WHERE app_id = ? AND user_id = ?",
        (state, app_id, user_id),
    )
    return cursor.rowcount > 0


async def _properties(
    db: aiosqlite.Connection, app_id: str, user_id: str
) -> dict[str, PropertyValue]:
    rows = await db.execute_fetchall(_PROPERTIES, (app_id, user_id))
    return {name: value if kind == "string" else Decimal(value) for name, kind, value in rows}
