"""The views of the store, as a question to the lake sees them: the same names, columns and rows.

What is counted event by event is of the lake and its tail, so it has what the store keeps no more.
Sums are the store's own, which keeps them for good: they are read of it if a question names them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow

from playsmart_gateway.errors import QueryError
from playsmart_gateway.events.batch import PLAYSMART, run_key
from playsmart_gateway.lake.manifest import Properties
from playsmart_gateway.questions.looking import know_programs, needed, read_names
from playsmart_gateway.questions.said import Names, currency_of, price_of, said
from playsmart_gateway.stores.sql.database import Transaction

MAX_ROWS = 500_000
"""Of a view that is brought here; of more there is no answer."""

_TEXT, _WHOLE, _NUMBER = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
_PURCHASE = {
    "event_id": _WHOLE, "game_id": _TEXT, "user_id": _TEXT, "received_at": _TEXT,
    "adjusted_at": _TEXT, "price": _NUMBER, "currency": _TEXT, "country": _TEXT,
    "platform": _TEXT, "app_version": _TEXT,
}  # fmt: skip
_NOT_WHOLE = {
    "day": _TEXT, "first_day": _TEXT, "game_id": _TEXT, "level": _TEXT, "app_version": _TEXT,
    "platform": _TEXT, "counted_up_to": _TEXT, "stickiness_percent": _NUMBER,
    "level_number": _NUMBER, "seconds": _NUMBER, "lost_percent": _NUMBER,
}  # fmt: skip
SUMS = {
    "v_counted": "counted_up_to batches_to_go",
    "v_daily": "day game_id players new_players returning_players sessions events ads purchases"
    " coins",
    "v_active": "day game_id players_day players_week players_month stickiness_percent",
    "v_retention": "first_day game_id new_players day_1 day_3 day_7 day_14 day_30",
    "v_levels": "day game_id level level_number players attempts completions failures timed"
    " seconds",
    "v_coins": "day game_id earned given taken",
    "v_versions": "day game_id app_version platform runs events lost lost_percent",
}
"""The views that are read of the store, and their columns."""

_OF_PURCHASES = """
    SELECT substr(received_at, 1, 10) AS day, game_id, currency, country, platform, app_version,
           count(*) AS purchases, count(DISTINCT user_id) AS payers,
           count(*) - count(price) AS unpriced, coalesce(sum(price), 0) AS amount
    FROM v_purchases GROUP BY ALL
"""
_OF_EVENTS = """
    SELECT CAST(day AS VARCHAR) AS day, game_id, type, custom_event_name AS name,
           count(*) AS events, count(DISTINCT user_id) AS players
    FROM events GROUP BY ALL
"""
_TIME = "strftime(make_timestamp(epoch_us({})), '%Y-%m-%dT%H:%M:%S.%fZ')"
_SOLD = f"""
    SELECT event_id, game_id, user_id, {_TIME.format("received_at")},
           {_TIME.format("coalesce(adjusted_at, occurred_at)")}, customdata, run,
"""
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Branch(NamedTuple):
    """Events with the same columns: what to select them from, their day, and the properties."""

    source: str
    day: str
    properties: Properties


async def make_views(
    db: duckdb.DuckDBPyConnection, reading: Transaction, branches: Sequence[Branch], sql: str
) -> None:
    """Have the views that ``sql`` names, beside ``events``, which is there.

    Raises:
        QueryError: one has too many rows.
        SinkUnavailable: the store cannot be read now.
    """
    asked = sql.lower()
    for name, columns in SUMS.items():
        if name in asked:
            async with reading() as store:
                query = f"SELECT {columns.replace(' ', ', ')} FROM {name} LIMIT {MAX_ROWS + 1}"  # noqa: S608
                rows = await store.fetch(query)
            types = {each: _NOT_WHOLE.get(each, _WHOLE) for each in columns.split()}
            _register(db, name, types, rows)
    if "v_purchases" in asked or "v_revenue" in asked:
        _register(db, "v_purchases", _PURCHASE, await _purchases(db, reading, branches))
        db.execute(f"CREATE VIEW v_revenue AS {_OF_PURCHASES}")
    db.execute(f"CREATE VIEW v_names AS {_OF_EVENTS}")


async def _purchases(
    db: duckdb.DuckDBPyConnection, reading: Transaction, branches: Sequence[Branch]
) -> list[Sequence[Any]]:
    names = await read_names(reading)
    wanted = needed(names)
    found: list[Sequence[Any]] = []
    for source, _, properties in branches:
        lifted = ", ".join(f"'{each}', \"p_{each}\"" for each in properties if each in wanted)
        query = f"""{_SOLD} {f"CAST(json_object({lifted}) AS VARCHAR)" if lifted else "NULL"}
            FROM {source} WHERE type = 'IAPPurchase' AND source = '{PLAYSMART}'
            LIMIT {MAX_ROWS + 1}"""
        found += db.execute(query).fetchall()
        _require_few(found, "v_purchases")
    keys = [
        None if run is None else run_key(bytes.fromhex(run), game, user)
        for _, game, user, _, _, _, run, _ in found
    ]
    programs: dict[bytes, tuple[str | None, str | None]] = {}
    await know_programs(reading, keys, programs)
    return [
        _purchase(row, names, (None, None) if key is None else programs.get(key, (None, None)))
        for row, key in zip(found, keys, strict=True)
    ]


def _purchase(
    row: Sequence[Any], names: Names, program: tuple[str | None, str | None]
) -> Sequence[Any]:
    """Return a row of ``v_purchases``; what it does not say of its ``program`` the client has."""
    event_id, game_id, user_id, received_at, adjusted_at, customdata, _, lifted = row
    data = _object(customdata)
    data |= {name: each for name, each in _object(lifted).items() if each is not None}
    own = names.of(game_id)
    platform, version = (
        said(data, own, meaning) or of_client or "unknown"
        for meaning, of_client in zip(("platform", "app_version"), program, strict=True)
    )
    price, currency = price_of(data.get(own["price"])), currency_of(data.get(own["currency"]))
    country = said(data, own, "country") or "unknown"
    told = price, currency, country, platform, version
    return event_id, game_id, user_id, received_at, adjusted_at, *told


def _object(text: str | None) -> dict[str, Any]:
    try:
        return _decode(text or "{}")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}


def _register(
    db: duckdb.DuckDBPyConnection,
    name: str,
    columns: dict[str, pyarrow.DataType],
    rows: Sequence[Sequence[Any]],
) -> None:
    _require_few(rows, name)
    arrays = []
    for place, kind in enumerate(columns.values()):
        make = {_TEXT: str, _WHOLE: int, _NUMBER: float}[kind]  # PostgreSQL adds up to decimals
        values = [None if row[place] is None else make(row[place]) for row in rows]
        arrays.append(pyarrow.array(values, kind))
    db.register(name, pyarrow.table(arrays, names=[*columns]))


def _require_few(rows: Sequence[Sequence[Any]], name: str) -> None:
    if len(rows) > MAX_ROWS:
        raise QueryError(f"{name} has more than {MAX_ROWS:,} rows here: ask the store")
