"""The configuration: every mistake at once, by its key and never by its value."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from playsmart_gateway.config import MASKED, Config, Secret, Section, load_config, masked
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.loyalty.definitions import Definition, Milestone
from playsmart_gateway.settings import program_for

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config.example.toml"
SECRET = "sesame-4711 is a secret of some length"
SECRET_B = Secret(kid="a", secret="b")


def keys_of(section: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every key with the name of its table, those of arrays of tables too."""
    for field in msgspec.structs.fields(section):
        item = (get_args(field.type) or (field.type,))[0]
        is_table = isinstance(item, type) and issubclass(item, Section | Definition)
        if is_table and item not in (Secret, Milestone):
            yield from keys_of(item, f"{name}.{field.name}".removeprefix("."))
        else:
            yield name, field


KEYS = list(keys_of(Config, ""))


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
        f"{tmp_path}/none.toml: cannot be read: FileNotFoundError"
    ]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: IsADirectoryError"]
    path = write(tmp_path, "")
    path.write_bytes(b"\xff")
    assert problems(path) == [f"{path}: cannot be read: UnicodeDecodeError"]


# --- where values come from ----------------------------------------------------------------------


def test_without_a_file_the_defaults_hold() -> None:
    assert load_config(None, {}) == Config()


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
    others = {"PLAYSMART": "1", "PLAYSMART_HOME": "1", "PLAY__SMART": "1", "SERVER__PORT": "1"}
    assert load_config(None, others) == Config()


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
    assert config.lynes.api_keys == keys
    assert "sesame" not in str(masked(config))
    assert load_config(None, {"PLAYSMART_LYNES__API_KEY": written}).lynes.api_keys == keys
    assert Config().lynes.api_keys == ()


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
    assert load_config(EXAMPLE, {}) == Config()


def test_the_values_that_the_example_comments_out_are_of_the_right_type(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    config = load_config(write(tmp_path, text), {})
    assert config.auth.has_keys
    assert len(config.auth.secrets) == 2
    assert config.lynes.auth
    assert config.lynes.auth.has_keys
    assert [game.reward_mode for game in config.games] == ["fixed", "random_range"]
    assert [event.kind for event in config.lynes.events] == ["fix", "conditional", "transactional"]
    assert set(program_for(config).streaks) == {"daily_app_use"}


def test_the_readme_explains_every_key() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    chapter = re.search(r"^## Config.*?(?=^## |\Z)", readme, re.DOTALL | re.MULTILINE)
    assert chapter, "the README has no section of configuration"
    words = set(re.findall(r"\w+", chapter[0]))
    assert {
        name for section, field in KEYS for name in (*section.split("."), field.encode_name)
    } <= words
