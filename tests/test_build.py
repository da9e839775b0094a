"""What the configuration of games comes to, or why it cannot be."""

import json
from pathlib import Path

import pytest

from playsmart_gateway.build import check, rules_for
from playsmart_gateway.config import Config
from playsmart_gateway.dialects import load_config
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import ConfigError

ROUNDED = "every award would round down to nothing"


def configured(tmp_path: Path, *games: dict[str, object], is_live: bool = True) -> Config:
    lines = ["[app]", f"is_live = {json.dumps(is_live)}"]
    for game in games:
        lines += ["[[games]]", *(f"{key} = {json.dumps(value)}" for key, value in game.items())]
    path = tmp_path / "gateway.toml"
    path.write_text("\n".join(lines), "utf-8")
    return load_config(path, {})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "reward_fixed_amount, reward_max_amount: nothing could ever be paid"),
        (
            {"reward_mode": "random_range", "reward_min_amount": 9, "reward_max_amount": 5},
            "reward_min_amount: is more than reward_max_amount",
        ),
        (
            {"reward_fixed_amount": 10, "level_completion_multiplier": 0.01},
            f"level_completion_multiplier: {ROUNDED}",
        ),
        (
            {"reward_fixed_amount": 1, "event_trigger_threshold": 5},
            f"event_trigger_multiplier: {ROUNDED}",
        ),
        (
            {"reward_fixed_amount": 1, "level_completion_multiplier": 0},
            "level_completion_multiplier: nothing could ever be paid",
        ),
        (
            {"reward_fixed_amount": 1, "level_completion_multiplier": 1.0000001},
            "level_completion_multiplier: has more than six decimals",
        ),
    ],
)
def test_a_rule_that_could_never_work_is_refused_by_its_key(
    tmp_path: Path, fields: dict[str, object], problem: str
) -> None:
    config = configured(tmp_path, {"id": "a"}, {"id": "b", "coins_enabled": True, **fields})
    with pytest.raises(ConfigError) as caught:
        rules_for(config)
    assert caught.value.problems == (f"games.1.{problem}",)


def test_a_game_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"games\.1\.id: is there twice"):
        rules_for(configured(tmp_path, {"id": "a"}, {"id": "a"}))


@pytest.mark.parametrize("key", ["reward_fixed_amount", "event_trigger_threshold"])
def test_amounts_and_thresholds_are_not_negative(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"games\.0\.{key}"):
        configured(tmp_path, {"id": "a", key: -1})


@pytest.mark.parametrize(
    ("fields", "is_live"),
    [({"coins_enabled": False}, True), ({"is_active": False}, True), ({}, False)],
)
def test_each_gate_alone_stops_the_coins(
    tmp_path: Path, fields: dict[str, object], is_live: bool
) -> None:
    game = {"id": "a", "coins_enabled": True, "reward_fixed_amount": 10}
    assert rules_for(configured(tmp_path, game))[0].pays
    assert rules_for(configured(tmp_path, {**game, **fields}, is_live=is_live)) == [Rule("a")]


def test_the_mistakes_of_all_parts_are_told_at_once() -> None:
    wrong = {
        "PLAYSMART_STORAGE__URL": "sqlite://file.db",
        "PLAYSMART_LYNES__TIME_ZONE": "Mars",
        "PLAYSMART_AUTH__PUBLIC_KEY_FILE": "/nope",
        "PLAYSMART_GAMES": '[{id = "a", level_completion_multiplier = 0.0000001}]',
    }
    with pytest.raises(ConfigError) as caught:
        check(load_config(None, wrong))
    keys = [problem.partition(":")[0] for problem in caught.value.problems]
    assert keys == [
        "games.0.level_completion_multiplier",
        "lynes.time_zone",
        "auth.public_key_file",
        "storage.url",
    ]
