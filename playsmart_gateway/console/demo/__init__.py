"""The demo: a game on a page, in development mode, beside what the gateway has stored of it.

``routes`` serves it, and mints tokens for its players. ``game.js`` is the game, ``demo.js`` has the
client for TypeScript send what happens in it, over a network that its buttons break.
"""

import msgspec

from playsmart_gateway.config import Config, Game

GAME = Game(id="com.example.tower", coins_enabled=True, reward_fixed_amount=10)
"""What it plays; a level pays ten coins, as the page says."""


def with_game(config: Config) -> Config:
    """Return ``config`` with the game of the demo, unless it has that."""
    if any(game.id == GAME.id for game in config.games):
        return config
    return msgspec.structs.replace(config, games=(*config.games, GAME))
