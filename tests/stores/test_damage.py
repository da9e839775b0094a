"""What is told of damage that somebody met in a database on a server."""

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.postgres.connection import (
    DAMAGE_SECONDS,
    Damage,
)
from tests.support.doubles import FakeClock


def test_damage_is_told_while_it_is_met_and_for_a_minute_after_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    damage = Damage(clock)
    assert damage.found is None
    for _ in range(3):
        damage.met(SinkUnavailable("invalid page in block 7", hint="Restore a backup."))
        clock.advance(DAMAGE_SECONDS / 2)
    assert str(damage.found) == "invalid page in block 7"
    assert len(caplog.records) == 1, "it is logged once"
    clock.advance(DAMAGE_SECONDS)
    assert damage.found is None, "who mended it need not start us again"
