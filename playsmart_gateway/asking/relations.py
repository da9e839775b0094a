"""What may be read, in the words of the manual; everything else is the gateway's own."""

RELATIONS = {
    "events": (
        "a row for each event: event_id (in the order of arrival), source, game_id, user_id, type, "
        "custom_event_name, occurred_at (the phone's clock), received_at (the gateway's), "
        "customdata (JSON text), adjusted_at (occurred_at by the gateway's clock), clock ('future' "
        "or 'past' where that cannot be right). No index but by event_id: it reads all of them"
    ),
    "players": "a row for each player, with counts, scores and coins_balance",
    "coin_transactions": "a row for each entry of the ledger of coins",
    "losses": "what runs of clients lost, by day, game, app version and platform",
    "run_losses": "the same, run by run",
    "runs": "a row for each run of a client: client_id, next, missing, offset_ms of its clock ...",
    "clients": "a row for each program that said who it is: name, version, app_version, platform",
    "v_counted": "one row: counted_up_to is when the last event came that the sums have",
    "v_daily": (
        "sums by day and game: players, new_players, returning_players, sessions, events, ads, "
        "purchases, coins. game_id '' is all games together"
    ),
    "v_active": (
        "by day and game (or ''): players_day, players_week and players_month (that day and the 6 "
        "or 29 before it), stickiness_percent"
    ),
    "v_retention": (
        "by first_day and game (or ''): new_players, and how many of them came back on day_1, "
        "day_3, day_7, day_14, day_30; NULL while that day is not over"
    ),
    "v_levels": (
        "by day, game and level: level_number to sort by, players who completed it for the first "
        "time, attempts, completions, failures, and of timed completions the seconds in all"
    ),
    "v_purchases": "a row for each purchase, with price, currency, country, platform, app_version",
    "v_revenue": "purchases by day, game, currency, country, platform and app_version",
    "v_coins": "coins by day and game: earned; with game '' what was given and taken by hand",
    "v_names": "by day, game, type and name: events, players. It reads all events",
    "v_versions": "by day, game, app version and platform: runs, events, lost, lost_percent",
}
"""Each with what an asker needs to know of it. A day is that of receipt in UTC, YYYY-MM-DD."""
