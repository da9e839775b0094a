"""What may be read, in the words of the manual; everything else is the gateway's own."""

from typing import NamedTuple


class Relation(NamedTuple):
    """The names of its columns, in one text, and what an asker needs to know of it."""

    columns: str
    meaning: str


RELATIONS = {
    "events": Relation(
        "event_id source game_id user_id type custom_event_name occurred_at received_at "
        "customdata adjusted_at clock",
        "a row for each event, in the order of arrival by event_id; occurred_at by the phone's"
        " clock, received_at by the gateway's, adjusted_at is the phone's put right; clock is "
        "'future' or 'past' where it cannot be right; customdata is JSON. No index but by "
        "event_id: all rows are read",
    ),
    "players": Relation(
        "user_id coins_balance total_games_played sessions best_score last_score first_seen_at"
        " last_seen_at",
        "a row for each player",
    ),
    "coin_transactions": Relation(
        "id user_id game_id type trigger amount balance_before balance_after event_id "
        "created_at reason",
        "a row for each entry of the ledger of coins",
    ),
    "losses": Relation(
        "day game_id app_version platform runs numbers lost",
        "events that runs of clients numbered, and that were lost",
    ),
    "run_losses": Relation(
        "run seen_at day game_id app_version platform numbers lost missing",
        "the same, run by run",
    ),
    "runs": Relation(
        "run next missing duplicates batch_id seen_at client_id offset_ms",
        "a row for each run of a client: next is the number behind the last that came",
    ),
    "clients": Relation(
        "client_id name version app_version platform runs",
        "a row for each program that said who it is",
    ),
    "v_counted": Relation(
        "counted_up_to batches_to_go",
        "one row: when the last event came that the sums have",
    ),
    "v_daily": Relation(
        "day game_id players new_players returning_players sessions events ads purchases coins",
        "sums by day and game; game_id '' is all games together",
    ),
    "v_active": Relation(
        "day game_id players_day players_week players_month stickiness_percent",
        "by day and game (or ''): players of that day, and of the 7 and 30 that end with it",
    ),
    "v_retention": Relation(
        "first_day game_id new_players day_1 day_3 day_7 day_14 day_30",
        "by first day and game (or ''): how many new players came back on which day; NULL "
        "while that day is not over",
    ),
    "v_levels": Relation(
        "day game_id level level_number players attempts completions failures timed seconds",
        "players who completed the level for the first time; of timed completions the seconds "
        "in all",
    ),
    "v_purchases": Relation(
        "event_id game_id user_id received_at adjusted_at price currency country platform "
        "app_version",
        "a row for each purchase",
    ),
    "v_revenue": Relation(
        "day game_id currency country platform app_version purchases payers unpriced amount",
        "purchases added up",
    ),
    "v_coins": Relation(
        "day game_id earned given taken",
        "coins earned; with game_id '' what was given and taken by hand",
    ),
    "v_names": Relation(
        "day game_id type name events players",
        "events by type and name of custom events. It reads all events",
    ),
    "v_versions": Relation(
        "day game_id app_version platform runs events lost lost_percent",
        "events that the runs of an app version numbered, and how many were lost",
    ),
}
"""A day is that of receipt in UTC, YYYY-MM-DD."""
