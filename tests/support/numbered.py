"""Batches of runs: each event says which number it has."""

import msgspec

from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import Batch, run_key

GAME, PLAYER = "com.example.game", "player-1"
RUN = bytes(range(16))


def numbered(
    sequence: int,
    first: int,
    end: int,
    *,
    run: bytes = RUN,
    user_id: str = PLAYER,
    kind: str = "Custom",
    game_id: str = GAME,
    about: About | None = None,
) -> Batch:
    """The batch that a journal has accepted under ``sequence``, with these numbers of a run.

    Of those whose places ``about`` says are refused it has no events.
    """
    rows = [
        [kind, "e", "2026-04-22T14:30:00Z", {"n": f"{run[0]}.{number}", "b": sequence}]
        for number in range(first, end)
        if about is None or number - first not in about.refused
    ]
    return Batch(
        "playsmart", game_id, user_id, len(rows), msgspec.json.encode(rows), "11" * 16, sequence,
        1_776_868_200_000_000 + sequence, run=run_key(run, game_id, user_id), seq=first,
        about=about,
    )  # fmt: skip
