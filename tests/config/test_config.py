"""The configuration: every mistake at once, by its key and never by its value."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playsmart_gateway.build import storage_for
from playsmart_gateway.config import MASKED, Config, Secret, Storage, masked
from playsmart_gateway.dialects import ALL, load_config
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.dialects.teak.section import Teak
from playsmart_gateway.errors import ConfigError
from tests import ROOT
from tests.support.keys import KEYS

EXAMPLE = ROOT / "config.example.toml"
SECRET = "sesame-4711 is a secret of some length"
SECRET_B = Secret(kid="a", secret="b")


SECTIONS = [dialect.section for dialect in ALL if dialect.section is not None]
DEFAULTS = Config(dialects={section.table: section() for section in SECTIONS})


def write(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def problems(path: Path | None = None, **environment: str) -> list[str]:
    """What is wrong; checks that nothing which was sent in is told."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, {f"PLAYSMART_{name}": value for name, value in environment.items()})
    assert "sesame" not in str(caught.value)
    return list(caught.value.problems)


# --- mistakes ------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        serve = 1
        storage = "sesame"
        [server]
        prot = 8000
        port = "sesame"
        max_body_bytes = 7
        [auth]
        secrets = [{kid = "a", secret = 5}]
        leeway_seconds = 1.5
        [bufer]
        max_events = 1
        """,
    )
    assert problems(path, BUFFER__MAX_EVENTS="0", AUTH__ISSUR="sesame") == [
        "serve: unknown key; did you mean server?",
        "bufer: unknown key; did you mean buffer?",
        "server.prot: unknown key; did you mean server.port?",
        "server.port: Expected `int`, got `str`",
        "server.max_body_bytes: Expected `int` >= 1024",
        "auth.secrets.0.secret: Expected `str`, got `int`",
        "auth.leeway_seconds: Expected `int`, got `float`",
        "auth.issur: unknown key; did you mean auth.issuer?",
        "buffer.max_events: Expected `int` >= 1",
        "storage: must be a table",
    ]


def test_a_key_like_no_other_gets_no_suggestion() -> None:
    assert problems(SERVER__XYZZY="sesame") == ["server.xyzzy: unknown key"]


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("SERVER__PORT", "99999", "server.port: Expected `int` <= 65535"),
        ("SERVER__PORT", "sesame", "server.port: Expected `int`, got `str`"),
        ("SERVER__PORT", "", "server.port: Expected `int`, got `str`"),
        ("SERVER__PORT", "true", "server.port: Expected `int`, got `bool`"),
        ("SERVER__REQUEST_TIMEOUT_SECONDS", "0", "> 0.0"),
        ("SERVER__REQUEST_TIMEOUT_SECONDS", "nan", "server.request_timeout_seconds: "),
        ("SERVER__DRAIN_TIMEOUT_SECONDS", "inf", "<= 86400.0"),
        ("AUTH__TRUST_FORWARDED", "yes", "auth.trust_forwarded: Expected `bool`, got `str`"),
        ("AUTH__ALGORITHMS", "HS256", "auth.algorithms: Expected `array`, got `str`"),
        ("BUFFER__MAX_BYTES", "-1", ">= 1"),
        ("INGEST__GAMES", "sesame", "ingest.games: must be one of any, configured"),
        ("JOURNAL__FSYNC", "[]", "journal.fsync: must be one of interval, always, never"),
        ("NATS__REPLICAS", "2", "nats.replicas: must be one of 1, 3"),
    ],
)
def test_a_value_that_cannot_be_is_refused(variable: str, value: str, problem: str) -> None:
    (told,) = problems(None, **{variable: value})
    assert problem in told


def test_a_secret_in_the_wrong_place_is_not_told(tmp_path: Path) -> None:
    path = write(tmp_path, f'[auth]\nalgorithms = "{SECRET}"\nsecret = ["{SECRET}"]')
    assert len(problems(path, SERVER__PORT=SECRET, AUTH__SECRETS=f'[{{kid = "{SECRET}"}}]')) == 4


@pytest.mark.parametrize("text", ["[server", f'[auth]\nsecret = "{SECRET}', f"secret = {SECRET}"])
def test_what_is_not_toml_is_refused_by_its_place(tmp_path: Path, text: str) -> None:
    (told,) = problems(write(tmp_path, text))
    assert "gateway.toml: is not TOML: " in told
    assert re.search(r"\(at (line \d+, column \d+|end of document)\)", told)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == [
        f"{tmp_path}/none.toml: cannot be read: no such file or directory"
    ]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: is a directory"]
    path = write(tmp_path, "")
    path.write_bytes(b"[auth]\nissuer = '\xe9'")
    assert problems(path) == [f"{path}: is not UTF-8 (line 2)"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_is_no_mistake(tmp_path: Path, end: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(f"\ufeff[server]{end}port = 1{end}".encode())
    assert load_config(path, {}).server.port == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf_16_is_called_that(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes("\ufeff[server]\nport = 1\n".encode(encoding))
    assert problems(path) == [f"{path}: is UTF-{encoding[4:6]}; save it as UTF-8"]


# --- where values come from ----------------------------------------------------------------------


def test_without_a_file_the_defaults_hold() -> None:
    assert load_config(None, {}) == DEFAULTS


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nport = 1\nhost = "::1"\n[auth]\nissuer = "a"')
    config = load_config(path, {"PLAYSMART_SERVER__PORT": "2", "PLAYSMART_AUTH__AUDIENCE": "b"})
    assert (config.server.port, config.server.host) == (2, "::1")
    assert (config.auth.issuer, config.auth.audience) == ("a", "b")


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("SERVER__PORT", "9_000", "server", "port", 9000),
        ("SERVER__REQUEST_TIMEOUT_SECONDS", "3", "server", "request_timeout_seconds", 3.0),
        ("AUTH__TRUST_FORWARDED", "true", "auth", "trust_forwarded", True),
        ("AUTH__ALGORITHMS", '["HS256", "HS512"]', "auth", "algorithms", ("HS256", "HS512")),
        ("AUTH__SECRETS", '[{kid="a",secret="b"}]', "auth", "secrets", (SECRET_B,)),
        ("AUTH__SECRET", "1" * 32, "auth", "secret", "1" * 32),
        ("AUTH__SECRET", "true", "auth", "secret", "true"),
        ("AUTH__SECRET", '"in quotes"', "auth", "secret", "in quotes"),
        ("AUTH__SECRET", "a = b # c", "auth", "secret", "a = b # c"),
        ("STORAGE__URL", "sqlite:///a.db", "storage", "url", "sqlite:///a.db"),
        ("server__host", "x", "server", "host", "x"),
    ],
)  # fmt: skip
def test_a_variable_is_read_as_the_type_of_its_key(
    variable: str, text: str, section: str, key: str, value: object
) -> None:
    config = load_config(None, {f"PLAYSMART_{variable}": text})
    found = getattr(getattr(config, section), key)
    assert found == value
    assert type(found) is type(value)


def test_a_variable_replaces_an_array_of_tables(tmp_path: Path) -> None:
    path = write(tmp_path, '[[games]]\nid = "a"\n[[games]]\nid = "b"')
    assert [game.id for game in load_config(path, {}).games] == ["a", "b"]
    config = load_config(path, {"PLAYSMART_GAMES": '[{id = "c", coins_enabled = true}]'})
    assert [(game.id, game.coins_enabled) for game in config.games] == [("c", True)]
    assert problems(path, GAMES="[{di = 1}]") == [
        "games.0.di: unknown key",
        "games.0.id: is required",
    ]
    assert problems(path, GAMES="sesame") == ["games: must be an array of tables"]


def test_variables_of_others_are_left_alone() -> None:
    others = {"PLAYSMART": "1", "PLAY__SMART": "1", "SERVER__PORT": "1", "XPLAYSMART_SERVR": "1"}
    assert load_config(None, others) == DEFAULTS


@pytest.mark.parametrize("service", ["", "GATEWAY_", "PORT_", "SERVER_", "A_1_", "A__B_"])
def test_variables_that_kubernetes_makes_for_a_service_are_left_alone(service: str) -> None:
    made = {
        "SERVICE_HOST": "10.96.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "SERVICE_PORT_HTTP_METRICS": "9000",
        "PORT": "tcp://10.96.0.7:8000",
        "PORT_8000_TCP": "tcp://10.96.0.7:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.96.0.7",
        "PORT_53_UDP": "udp://[fd00::7]:53",
    }
    variables = {f"PLAYSMART_{service}{name}": value for name, value in made.items()}
    assert load_config(None, variables) == DEFAULTS


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("SERVER_PORT", "unknown variable; did you mean PLAYSMART_SERVER__PORT?"),
        ("SEVER__PORT", None),
        ("PORT", "unknown variable; did you mean PLAYSMART_SERVER__PORT?"),
        ("AUTH_SECRET", "unknown variable; did you mean PLAYSMART_AUTH__SECRET?"),
        ("AUTH_SECRET_FILE", "unknown variable; did you mean PLAYSMART_AUTH__SECRET?"),
        ("GAME", "unknown variable; did you mean PLAYSMART_GAMES?"),
        ("XYZZY", "unknown variable"),
        ("GAMES__ID", "is set as a whole, by PLAYSMART_GAMES"),
        ("SERVER", "is set key by key, as by PLAYSMART_SERVER__DRAIN_TIMEOUT_SECONDS"),
    ],
)
def test_a_variable_that_sets_nothing_is_a_mistake(variable: str, problem: str | None) -> None:
    told = f"PLAYSMART_{variable}: {problem}"
    assert problems(None, **{variable: "sesame"}) == [
        told if problem else "sever: unknown key; did you mean server?"
    ]


def test_a_variable_may_set_a_key_of_a_table_in_a_section() -> None:
    config = load_config(None, {"PLAYSMART_TEAK__LIMITS__BATCH": "7"})
    assert config.of(Teak).limits.batch == 7
    assert problems(None, TEAK__LIMITS__BACH="7") == [
        "teak.limits.bach: unknown key; did you mean teak.limits.batch?"
    ]


# --- values in files -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_variable_may_name_a_file_with_its_value(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET.encode() + end)
    config = load_config(None, {"PLAYSMART_AUTH__SECRET_FILE": str(path)})
    assert config.auth.secret == SECRET
    path.write_text("9_000\n")
    assert load_config(None, {"PLAYSMART_SERVER__PORT_FILE": str(path)}).server.port == 9_000
    path.write_text('[\n  {id = "a"},\n  {id = "b"},\n]\n')
    games = load_config(None, {"PLAYSMART_GAMES_FILE": str(path)}).games
    assert [game.id for game in games] == ["a", "b"]


def test_a_key_that_names_a_file_is_not_read() -> None:
    config = load_config(None, {"PLAYSMART_AUTH__PUBLIC_KEY_FILE": "none.pem"})
    assert config.auth.public_key_file == "none.pem"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the file that it names cannot be read: no such file or directory"),
        (b"", "the file that it names is empty"),
        (b"\n", "the file that it names is empty"),
        (b"sesame\xff", "is not UTF-8"),
        (b"sesame" * 200_000, "the file that it names has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_cannot_be_a_value_is_told_by_its_variable(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "sesame"
    if content is not None:
        path.write_bytes(content)
    assert problems(None, AUTH__SECRET_FILE=str(path)) == [
        f"PLAYSMART_AUTH__SECRET_FILE: {problem}"
    ]


def test_a_folder_is_no_value_and_neither_is_a_secret_in_the_place_of_its_file(
    tmp_path: Path,
) -> None:
    assert problems(None, AUTH__SECRET_FILE=str(tmp_path), GAMES_FILE=SECRET) == [
        "PLAYSMART_AUTH__SECRET_FILE: the file that it names cannot be read: is a directory",
        "PLAYSMART_GAMES_FILE: the file that it names cannot be read: no such file or directory",
    ]


def test_the_name_of_a_file_with_a_value_is_not_empty() -> None:
    assert problems(None, AUTH__SECRET_FILE="") == ["PLAYSMART_AUTH__SECRET_FILE: names no file"]


def test_a_value_and_a_file_with_it_are_one_too_many(tmp_path: Path) -> None:
    path = write(tmp_path, SECRET)
    told = "PLAYSMART_AUTH__SECRET: is set twice, by itself and by PLAYSMART_AUTH__SECRET_FILE"
    assert problems(None, AUTH__SECRET=SECRET, AUTH__SECRET_FILE=str(path)) == [told]
    assert problems(None, AUTH__SECRET_FILE=str(path), AUTH__SECRET=SECRET) == [told]


def test_what_a_file_says_is_checked_like_any_value(tmp_path: Path) -> None:
    assert problems(None, SERVER__PORT_FILE=str(write(tmp_path, "sesame"))) == [
        "server.port: Expected `int`, got `str`"
    ]


def test_a_variable_that_is_not_utf_8_is_refused() -> None:
    assert problems(None, AUTH__SECRET="sesame\udcff") == ["PLAYSMART_AUTH__SECRET: is not UTF-8"]


# --- paths ---------------------------------------------------------------------------------------


def test_a_tilde_is_the_home_folder_in_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    paths = {
        (section, field.name)
        for section, field in KEYS
        if field.name == "path" or field.name.endswith("_file")
    }
    assert ("auth", "public_key_file") in paths
    for section, key in paths:
        text = f'[{section}]\n{key} = "~/x/y"\n'
        found: Any = load_config(write(tmp_path, text), {})
        for name in (*section.split("."), key):
            found = found.of(Lynes) if name == "lynes" else getattr(found, name)
        assert found == "/home/ada/x/y"
    storage = '[storage]\nurl = "sqlite:///~/x.db"\nreads_url = "sqlite:///data/~/x.db"'
    config = load_config(write(tmp_path, storage), {"PLAYSMART_JOURNAL__PATH": "~"})
    assert config.storage.url == "sqlite:////home/ada/x.db"
    assert config.storage.reads_url == "sqlite:///data/~/x.db"
    assert config.journal.path == "/home/ada"


def test_the_home_of_nobody_is_refused() -> None:
    (told,) = problems(None, JOURNAL__PATH="~no-such-user/sesame")
    assert told == "journal.path: Could not determine home directory."


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:///:memory:", "memory: is for trying things out"),
        ("sqlite://:memory:", "memory: is for trying things out"),
        ("sqlite::memory:", "memory: is for trying things out"),
        (":memory:", "memory: is for trying things out"),
        ("sqlite:///file::memory:?cache=shared", "memory: is for trying things out"),
        ("file::memory:", "memory: is for trying things out"),
        ("sqlite:///", "memory: is for trying things out"),
        ("sqlite://", "must be sqlite:///relative/path.db or sqlite:////absolute/path.db"),
        ("sqlite://relative.db", "sqlite:///relative/path.db"),
        ("sqlite:relative.db", "sqlite:///relative/path.db"),
        ("sqlite:/absolute.db", "sqlite:////absolute/path.db"),
        ("file:relative.db", "sqlite:///relative/path.db"),
        ("file:///absolute.db", "sqlite:////absolute/path.db"),
        ("sqlite:///a.db?mode=ro", "takes no parameters"),
        ("sqlite:///folder/", "names a folder"),
        ("relative.db", "must be sqlite:///PATH"),
        ("sqlite3:///a.db", "must be sqlite:///PATH"),
    ],
)
def test_a_url_of_sqlite_has_one_meaning_or_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"^storage\.url: ") as caught:
        storage_for(Config(storage=Storage(url=url)))
    assert problem in str(caught.value)


# --- secrets -------------------------------------------------------------------------------------


def test_secrets_are_masked_and_nothing_else(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f'[auth]\nsecret = "{SECRET}"\nsecrets = [{{kid = "old", secret = "{SECRET}"}}]\n'
        'issuer = "https://id.example"',
    )
    shown = masked(load_config(path, {}))
    assert "sesame" not in str(shown)
    assert shown["auth"]["secret"] == MASKED
    assert shown["auth"]["secrets"] == [{"kid": "old", "secret": MASKED}]
    assert shown["auth"]["issuer"] == "https://id.example"
    assert shown["server"] == msgspec.to_builtins(Config().server)


def test_a_secret_that_is_not_there_is_not_masked() -> None:
    assert masked(Config())["auth"]["secret"] is None
    assert masked(Config())["auth"]["secrets"] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///data/playsmart.db", "sqlite:///data/playsmart.db"),
        ("postgresql://ann:sesame@db:5432/games", f"postgresql://ann:{MASKED}@db:5432/games"),
        ("postgresql://ann:se@sa/me:@db/games", f"postgresql://ann:{MASKED}@db/games"),
        ("postgresql://ann@db/games", "postgresql://ann@db/games"),
        ("postgresql:///games?password=sesame&a=b", f"postgresql:///games?password={MASKED}&a=b"),
    ],
)
def test_a_password_in_a_url_is_masked_and_nothing_else(url: str, shown: str) -> None:
    config = load_config(None, {"PLAYSMART_STORAGE__URL": url})
    assert masked(config)["storage"]["url"] == shown


@pytest.mark.parametrize(
    ("written", "keys"),
    [('"sesame-4711"', ("sesame-4711",)), ('["sesame", "4711"]', ("sesame", "4711"))],
)
def test_api_keys_are_one_or_several_and_masked(
    tmp_path: Path, written: str, keys: tuple[str, ...]
) -> None:
    config = load_config(write(tmp_path, f"[lynes]\napi_key = {written}"), {})
    assert config.of(Lynes).api_keys == keys
    assert "sesame" not in str(masked(config))
    assert load_config(None, {"PLAYSMART_LYNES__API_KEY": written}).of(Lynes).api_keys == keys
    assert Config().of(Lynes).api_keys == ()


def test_an_api_key_that_opens_for_everybody_is_refused(tmp_path: Path) -> None:
    for nothing in ('""', '["sesame", ""]'):
        (problem,) = problems(write(tmp_path, f"[lynes]\napi_key = {nothing}"))
        assert problem.startswith("lynes.api_key: ")


# --- events and streaks --------------------------------------------------------------------------


def test_every_impossible_event_or_streak_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [lynes]
        time_zone = "Atlantis"
        [[lynes.events]]
        id = "a"
        kind = "fix"
        requires_api_key = true
        [[lynes.events]]
        id = "a"
        kind = "fixed"
        [[lynes.streaks]]
        id = "s"
        events = ["b"]
        period = "total"
        """,
    )
    with pytest.raises(ConfigError) as caught:
        program_for(load_config(path, {}))
    assert list(caught.value.problems) == [
        "lynes.events.0.points: is required for a fix event",
        "lynes.events.1.kind: must be one of fix, conditional, transactional",
        "lynes.events.1.id: is the id of lynes.events.0 too",
        "lynes.streaks.0.events.0: is not the id of an event",
        "lynes.streaks.0.period: must be one of daily, weekly, monthly",
        "lynes.time_zone: is not a known IANA time zone",
        "lynes.events.0.requires_api_key: has no use without lynes.api_key",
    ]


def test_an_event_of_the_wrong_shape_is_told_by_its_key(tmp_path: Path) -> None:
    path = write(tmp_path, '[[lynes.events]]\nid = "a"\nkind = "fix"\npoint = 1\nactive = "no"')
    assert problems(path) == [
        "lynes.events.0.point: unknown key; did you mean lynes.events.0.points?",
        "lynes.events.0.active: Expected `bool`, got `str`",
    ]


def test_an_event_that_only_lacks_its_key_is_refused(tmp_path: Path) -> None:
    text = '[[lynes.events]]\nid = "a"\nkind = "fix"\npoints = 1\nrequires_api_key = true'
    with pytest.raises(ConfigError, match="requires_api_key: has no use"):
        program_for(load_config(write(tmp_path, text), {}))
    config = load_config(write(tmp_path, text), {"PLAYSMART_LYNES__API_KEY": "sesame"})
    assert program_for(config).events["a"].requires_api_key


def test_any_source_of_keys_counts_as_keys() -> None:
    assert not Config().auth.has_keys
    for key in ("SECRET", "PUBLIC_KEY_FILE", "JWKS_URL"):
        assert load_config(None, {f"PLAYSMART_AUTH__{key}": "x"}).auth.has_keys
    assert load_config(None, {"PLAYSMART_AUTH__SECRETS": '[{kid="a",secret="b"}]'}).auth.has_keys


# --- the manual ----------------------------------------------------------------------------------


def keys_in_example() -> dict[tuple[str, str], Any]:
    """Every key that the example shows, commented out or not, with its value."""
    found, section = {}, ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if match := re.fullmatch(r"(?:# )?\[\[?([\w.]+)\]\]?", line):
            section = match[1]
        elif match := re.fullmatch(r"(?:# ?)?([a-z_]+ = (?![^\"\[{]* [a-z]).+)", line):
            ((key, value),) = tomllib.loads(match[1]).items()
            found[section, key] = value
    return found


def test_the_example_shows_every_key_and_no_other() -> None:
    assert set(keys_in_example()) == {(section, field.encode_name) for section, field in KEYS}


def test_the_example_shows_the_defaults() -> None:
    shown = keys_in_example()
    for section, field in KEYS:
        shows_default = field.default not in (None, (), msgspec.NODEFAULT)
        is_one = section not in ("games", "lynes.events", "lynes.streaks")
        if (shows_default and is_one) or field.name == "algorithms":
            assert msgspec.convert(shown[section, field.name], field.type) == field.default


def test_the_example_can_be_used_as_it_is() -> None:
    assert load_config(EXAMPLE, {}) == DEFAULTS


def test_the_values_that_the_example_comments_out_are_of_the_right_type(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    config = load_config(write(tmp_path, text), {})
    assert config.auth.has_keys
    assert len(config.auth.secrets) == 2
    lynes = config.of(Lynes)
    assert lynes.auth
    assert lynes.auth.has_keys
    assert [game.reward_mode for game in config.games] == ["fixed", "random_range"]
    assert [event.kind for event in lynes.events] == ["fix", "conditional", "transactional"]
    assert set(program_for(config).streaks) == {"daily_app_use"}


def test_the_manual_explains_every_key() -> None:
    chapter = (ROOT / "playsmart_gateway" / "manual" / "configuration.md").read_text("utf-8")
    words = set(re.findall(r"\w+", chapter))
    assert {
        name for section, field in KEYS for name in (*section.split("."), field.encode_name)
    } <= words
