"""Statements of somebody who wants what nobody is to have, for each kind of store."""

from typing import NamedTuple

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


class Hostile(NamedTuple):
    """A statement, and what is said of it; without that it is answered, in its bounds."""

    sql: str
    told: str | None

    @property
    def is_endless(self) -> bool:
        """Whether it is ended for the time that it takes, and by nothing before."""
        return self.told == "longer than"


ANYWHERE = [
    Hostile("DELETE FROM event_rows", ""),
    Hostile("UPDATE event_rows SET type = 'x'", ""),
    Hostile("INSERT INTO game_properties VALUES ('a', 'b', 'c')", ""),
    Hostile("DROP VIEW events", ""),
    Hostile("CREATE TABLE mine (a integer)", ""),
    Hostile("CREATE TEMP TABLE mine AS SELECT * FROM events", ""),
    Hostile("ALTER TABLE batches RENAME TO gone", ""),
    Hostile("VACUUM", ""),
    Hostile("BEGIN", ""),
    Hostile("COMMIT", ""),
    Hostile("SELECT 1; DELETE FROM event_rows", ""),
    Hostile("SELECT 1 /* ; */; -- and\nDROP TABLE batches", ""),
    Hostile("/* SELECT */ DELETE FROM event_rows -- SELECT", ""),
    Hostile("\u200bSELECT 1", ""),
    Hostile("\uff33\uff25\uff2c\uff25\uff23\uff34 1", ""),
    Hostile("SELECT 1\x00; DELETE FROM event_rows", ""),
    Hostile("", ""),
    Hostile("SELECT * FROM accounts", ""),
    Hostile('SELECT count(*) FROM "accounts"', ""),
    Hostile("WITH v_daily AS (SELECT * FROM accounts) SELECT * FROM v_daily", ""),
    Hostile("SELECT (SELECT max(password) FROM accounts) FROM events", ""),
    Hostile("SELECT * FROM app_players", ""),
    Hostile(f"{ENDLESS} SELECT count(*) FROM n", "longer than"),
    Hostile(
        "SELECT count(*) FROM events a, events b, events c, events d, events e, events f, events g,"
        " events h, events i, events j, events k WHERE a.type <> k.type || 'x'",
        "longer than",
    ),
    Hostile(f"{ENDLESS} SELECT i, i, i FROM n LIMIT 1000000000", None),
    Hostile(f"SELECT {', '.join(['1'] * 150)}", "columns"),
    Hostile(f"SELECT '{'x' * 30_000}'", "longer than"),
]
SQLITE = [
    *ANYWHERE,
    Hostile("ATTACH '/etc/passwd' AS other", "not authorized"),
    Hostile("DETACH main", "not authorized"),
    Hostile("PRAGMA journal_mode = DELETE", "not authorized"),
    Hostile("PRAGMA table_info(accounts)", "not authorized"),
    Hostile("SELECT * FROM pragma_table_info('accounts')", "not authorized"),
    Hostile("SELECT sql FROM sqlite_schema", "prohibited"),
    Hostile("SELECT count(*) FROM sqlite_master", "not authorized"),
    Hostile("SELECT load_extension('mine')", "load_extension"),
    Hostile(f"SELECT {'(' * 5_000}1{')' * 5_000}", ""),
    Hostile("VACUUM INTO 'copy.db'", "VACUUM"),
    Hostile("SELECT readfile('/etc/passwd')", "no such function"),
    Hostile("SELECT zeroblob(1000000000)", "too big"),
    Hostile("SELECT length(printf('%.*c', 20000000, 'x'))", None),
    Hostile(f"{ENDLESS} SELECT i FROM n ORDER BY i % 1000", ""),
    Hostile(f"{ENDLESS} SELECT group_concat(hex(zeroblob(100000))) FROM n", ""),
    Hostile("SELECT json_group_array(hex(zeroblob(1000000))) FROM events a, events b", ""),
]
POSTGRES = [
    *ANYWHERE,
    Hostile(f"SELECT {'(' * 5_000}1{')' * 5_000}", None),
    Hostile("COPY events TO '/tmp/out.csv'", "one SELECT"),
    Hostile("COPY (SELECT 1) TO PROGRAM 'id'", "one SELECT"),
    Hostile("SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
    Hostile('SELECT "pg_catalog".pg_sleep(60)', "pg_catalog"),
    Hostile('SELECT U&"\\0070g_sleep"(60)', ""),
    Hostile('SELECT u&"p\\0067_sleep" (60)', ""),
    Hostile("SELECT E'\\'' || pg_sleep(60) || '", ""),
    Hostile("SELECT $x$ $x$ || pg_read_file('/etc/passwd')", "dollars"),
    Hostile("SELECT /* /* */ pg_sleep(60) */ */ 1", ""),
    Hostile("SELECT pg_read_file('/etc/passwd')", "pg_read_file"),
    Hostile("SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity", "pg_terminate_backend"),
    Hostile("SELECT set_config('transaction_read_only', 'off', false)", "set_config"),
    Hostile("SELECT lo_import('/etc/passwd')", "lo_import"),
    Hostile("SELECT query_to_xml('SELECT * FROM accounts', true, true, '')", "query_to_xml"),
    Hostile("SELECT current_setting('data_directory')", "current_setting"),
    Hostile("SELECT * FROM information_schema.tables", "information_schema"),
    Hostile("SELECT nextval('mine')", "nextval"),
    Hostile("SELECT * FROM events FOR UPDATE", "FOR UPDATE"),
    Hostile("SELECT 1 AS a INTO mine", "read-only"),
    Hostile("WITH x AS (DELETE FROM players RETURNING 1) SELECT * FROM x", ""),
    Hostile("SELECT repeat('x', 1000000000)", "repeat"),
    Hostile("SELECT count(*) FROM generate_series(1, 1000000000000)", "longer than"),
    Hostile(f"{ENDLESS} SELECT string_agg(i::text, ',') FROM n", ""),
]
