"""The demo: a game on a page, in development mode, beside what the gateway has stored of it.

``routes`` serves it, and mints tokens for its players. ``game.js`` is the game, ``demo.js`` has the
client for TypeScript send what happens in it, over a network that its buttons break.
"""

from playsmart_gateway.config import Game

GAME = Game(id="com.example.tower", coins_enabled=True, reward_fixed_amount=10)
"""What it plays; a level pays ten coins, as the page says."""
