"""The players of apps (contract ``teak.md`` section 7): sessions, emails, properties, sums."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import asyncpg

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

_SEE_PLAYERS = f"""
    WITH session AS (
        SELECT app_id, user_id, country_code, timezone_id, batch_id, received_at,
               CASE WHEN installs THEN batch_id * {MAX_EVENTS_PER_BATCH} + {INSTALLED_PLACE} END
                   AS installed_event_id
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
            AS session (batch_id, app_id, user_id, country_code, timezone_id, installs)
        CROSS JOIN LATERAL (
            SELECT received_at FROM batches WHERE batches.batch_id = session.batch_id OFFSET 0
        ) AS batch
    )
    INSERT INTO app_players AS known
        (app_id, user_id, country_code, timezone_id, installed_event_id,
         first_seen_at, last_seen_at, sessions)
    SELECT app_id, user_id,
           (array_agg(country_code ORDER BY batch_id DESC))[1],
           (array_agg(timezone_id ORDER BY batch_id DESC))[1],
           min(installed_event_id),
           (array_agg(received_at ORDER BY batch_id))[1],
           (array_agg(received_at ORDER BY batch_id DESC))[1], count(*)
    FROM session GROUP BY app_id, user_id
    ON CONFLICT (app_id, user_id) DO UPDATE SET
        country_code = excluded.country_code,
        timezone_id = excluded.timezone_id,
        installed_event_id = coalesce(known.installed_event_id, excluded.installed_event_id),
        last_seen_at = excluded.last_seen_at,
        sessions = known.sessions + excluded.sessions
    RETURNING app_id, user_id, installed_event_id
"""  # noqa: S608 - built from our own constants
_TAKE_EVENTS = "DELETE FROM event_rows WHERE event_id = ANY($1::bigint[])"
_TAKE_COUNTS = """
    UPDATE batches SET event_count = event_count - 1 WHERE batch_id = ANY($1::bigint[])
"""
_EXCLUDED = """
    SELECT app_id, user_id FROM app_exclusions
    WHERE (app_id, user_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    AND (expire_at IS NULL OR expire_at > clock_timestamp())
"""
_TAKE_EMAILS = """
    UPDATE app_players SET email = NULL
    WHERE (app_id, email) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""
_GIVE_EMAILS = """
    UPDATE app_players SET email = given.email
    FROM unnest($1::text[], $2::text[], $3::text[]) AS given (app_id, user_id, email)
    WHERE app_players.app_id = given.app_id AND app_players.user_id = given.user_id
"""
_PLAYER = """
    SELECT country_code, email_state, push_state, sms_state
    FROM app_players WHERE app_id = $1 AND user_id = $2
"""
_PROPERTIES = "SELECT name, kind, value FROM app_properties WHERE app_id = $1 AND user_id = $2"
_COUNTRIES = """
    SELECT user_id, country_code FROM app_players
    WHERE app_id = $1 AND user_id = ANY($2::text[])
"""
_ACTIONS = f"""
    SELECT type, coalesce(readable(customdata) ->> 'country_code', '') COLLATE "C" AS country,
           count(*),
           sum(coalesce((readable(customdata) ->> 'event_count')::numeric, 1)),
           sum(coalesce((readable(customdata) ->> 'value')::numeric, 1)),
           sum(coalesce((readable(customdata) ->> 'sum_of_squares')::numeric, 1))
    FROM batches JOIN event_rows
        ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                    AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    WHERE source = '{TEAK}' AND game_id = $1
    GROUP BY type, country ORDER BY type, country
"""  # noqa: S608 - built from our own constants
"""``numeric`` is exact, and holds 131,072 digits before and 16,383 behind the point."""


async def track_sessions(db: asyncpg.Connection, sessions: Sequence[tuple[int, Session]]) -> int:
    """Bring players up to date with sessions and their batch ids, in the order they came.

    Returns how many ``Installed`` events had come before and were taken out again.
    """
    columns = [list(column) for column in zip(*((n, *each) for n, each in sessions), strict=True)]
    batch_ids, apps, users, countries_, zones, _, installs = columns
    seen = await db.fetch(_SEE_PLAYERS, batch_ids, apps, users, countries_, zones, installs)
    first = {(app_id, user_id): event_id for app_id, user_id, event_id in seen}
    repeats = [
        batch_id
        for batch_id, each in sessions
        if each.installs and first[each.app_id, each.user_id] != _installed_id(batch_id)
    ]
    if repeats:
        await db.execute(_TAKE_EVENTS, [_installed_id(batch_id) for batch_id in repeats])
        await db.execute(_TAKE_COUNTS, repeats)
    if any(session.email for _, session in sessions):
        excluded = {tuple(row) for row in await db.fetch(_EXCLUDED, apps, users)}
        await _assign_emails(
            db, [each for _, each in sessions if (each.app_id, each.user_id) not in excluded]
        )
    return len(repeats)


async def _assign_emails(db: asyncpg.Connection, sessions: Sequence[Session]) -> None:
    """Give each player their email; whoever had it before has none then (contract section 7)."""
    owners: dict[tuple[str, str], str] = {}
    latest: dict[tuple[str, str], str] = {}
    for session in sessions:
        if session.email:
            owners[session.app_id, session.email] = session.user_id
            latest[session.app_id, session.user_id] = session.email
    given = [
        (app_id, user_id, email if owners[app_id, email] == user_id else None)
        for (app_id, user_id), email in latest.items()
    ]
    if given:
        await db.execute(_TAKE_EMAILS, *map(list, zip(*owners, strict=True)))
        await db.execute(_GIVE_EMAILS, *map(list, zip(*given, strict=True)))


def _installed_id(batch_id: int) -> int:
    return first_event_id(batch_id) + INSTALLED_PLACE


# ---- What is asked for ----------------------------------------------------------------------


async def countries(
    db: asyncpg.Connection, app_id: str, user_ids: Collection[str]
) -> dict[str, str]:
    """See ``Reader.countries``."""
    return dict(await db.fetch(_COUNTRIES, app_id, list(user_ids)))


async def app_player(db: asyncpg.Connection, app_id: str, user_id: str) -> AppPlayer:
    """See ``Reader.app_player``."""
    properties = await _properties(db, app_id, user_id)
    for country_code, email, push, sms in await db.fetch(_PLAYER, app_id, user_id):
        states: dict[Channel, OptOutState] = {"email": email, "push": push, "sms": sms}
        return AppPlayer(country_code, states, properties)
    return AppPlayer(properties=properties)


async def action_statistics(db: asyncpg.Connection, app_id: str) -> list[ActionStatistics]:
    """See ``Reader.action_statistics``; sums are exact, whatever the numbers."""
    return [
        ActionStatistics(kind, country, Statistics(events, int(occurrences), value, squares))
        for kind, country, events, occurrences, value, squares in await db.fetch(_ACTIONS, app_id)
    ]


# ---- What is changed ------------------------------------------------------------------------


async def set_properties(
    db: asyncpg.Connection, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
) -> dict[str, PropertyValue]:
    """See ``Store.set_properties``."""
    before = await _properties(db, app_id, user_id)
    await db.executemany(
        "INSERT INTO app_properties (app_id, user_id, name, kind, value)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (app_id, user_id, name)"
        " DO UPDATE SET kind = excluded.kind, value = excluded.value",
        [
            (app_id, user_id, name, "string", value)
            if isinstance(value, str)
            else (app_id, user_id, name, "number", f"{value:f}")
            for name, value in values.items()
        ],
    )
    return {name: before[name] for name in values if name in before}


async def exclude(db: asyncpg.Connection, app_id: str, user_id: str, expire_at: str | None) -> None:
    """See ``Store.exclude``."""
    await db.execute(
        "INSERT INTO app_exclusions (app_id, user_id, expire_at)"
        " VALUES ($1, $2, $3::text::timestamptz)"
        " ON CONFLICT (app_id, user_id) DO UPDATE SET expire_at = excluded.expire_at",
        *(app_id, user_id, expire_at),
    )
    await db.execute(
        "UPDATE app_players SET email = NULL WHERE app_id = $1 AND user_id = $2", app_id, user_id
    )


async def include(db: asyncpg.Connection, app_id: str, user_id: str) -> bool:
    """See ``Store.include``."""
    ended = await db.fetch(
        "DELETE FROM app_exclusions WHERE app_id = $1 AND user_id = $2 RETURNING 1",
        *(app_id, user_id),
    )
    return bool(ended)


async def set_opt_out(
    db: asyncpg.Connection, app_id: str, user_id: str, channel: Channel, state: OptOutState
) -> bool:
    """See ``Store.set_opt_out``."""
    changed = await db.fetch(
        f"UPDATE app_players SET {channel}_state = $3"  # noqa: S608 - a channel is a literal
        " WHERE app_id = $1 AND user_id = $2 RETURNING 1",
        *(app_id, user_id, state),
    )
    return bool(changed)


async def _properties(
    db: asyncpg.Connection, app_id: str, user_id: str
) -> dict[str, PropertyValue]:
    rows = await db.fetch(_PROPERTIES, app_id, user_id)
    return {name: value if kind == "string" else Decimal(value) for name, kind, value in rows}
