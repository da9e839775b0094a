"""Batches of all kinds, for what reads events back."""

from typing import Any

import msgspec

from playsmart_gateway.events.batch import Batch

BATCHES = [
    ("playsmart", "stack", "ada", 3),
    ("teak", "spin", "", 4),
    ("playsmart", "stack", "bob", 2),
    ("playsmart", "dice", "ada", 1),
]


def make_batches(pad: str = "") -> list[Batch]:
    batches = []
    for sequence, (source, game, user, count) in enumerate(BATCHES, 1):
        rows: list[list[Any]] = []
        for place in range(count):
            when = f"2026-04-{sequence:02}T0{place}:00:00{'.5' if place % 2 else ''}Z"
            when = when.replace(".5Z", ".500000Z")
            data = {"n": 2**70 + place, "t": f"\x1b[31m,\"\r\n'é\x00{pad}"} if place else None
            row = [("AppOpen", "Custom")[place % 2], "j" if place % 2 else None, when, data]
            rows.append(row if user else [*row, None, ("ada", "eve")[place % 2]])
        batch = Batch(source, game, user, count, msgspec.json.encode(rows), "33" * 16, sequence)
        batch.received_at = 1_776_868_200_000_001 + sequence
        batches.append(batch)
    return batches
