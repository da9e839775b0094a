"""Gauges of a gateway at rest."""

from collections import Counter

from playsmart_gateway.metrics import (
    Gauges,
)


def make_gauges(**changes: float | bool) -> Gauges:
    values: dict[str, float | bool | Counter[str]] = dict.fromkeys(Gauges.__struct_fields__, 0)
    values |= {"journal_up": True, "store_up": True, "connections": Counter(idle=2)}
    return Gauges(**{**values, **changes})  # type: ignore[arg-type] # all are numbers
