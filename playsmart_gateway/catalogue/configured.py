"""What the configuration says events should be like, and of which games."""

from pathlib import Path

from playsmart_gateway.catalogue.definitions import NOTHING, Definitions, Expected, read_definitions
from playsmart_gateway.catalogue.judging import Standard
from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError


def definitions_for(config: Config) -> Definitions:
    """Return what events should be like; nothing if no file says so.

    Raises:
        ConfigError: with every mistake in the file, and games that it should say more of.
    """
    file = config.catalogue.definitions_file
    definitions = {} if file is None else read_definitions(Path(file))
    defined = {key.game_id for key in definitions}
    problems = [
        f"games.{place}.events: is {game.events}, and catalogue.definitions_file defines no event "
        "of this game"
        for place, game in enumerate(config.games)
        if game.events != "observe" and game.id not in defined
    ]
    if problems:
        raise ConfigError(problems)
    return definitions


def expected_of(config: Config) -> Expected:
    """Return what is told of events that are not as defined, though they are stored.

    Raises:
        ConfigError: as ``definitions_for``.
    """
    games = [game.id for game in config.games if game.events != "observe"]
    return Expected(definitions_for(config), games) if games else NOTHING


def standard_for(config: Config) -> Standard | None:
    """Return what batches are held to before they are stored; None if no game enforces it.

    Raises:
        ConfigError: as ``definitions_for``.
    """
    definitions = definitions_for(config)
    games = [game.id for game in config.games if game.events == "enforce"]
    return Standard(definitions, games) if games else None
