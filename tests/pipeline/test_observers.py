"""Who follows what becomes of batches cannot hold up what becomes of them."""

from collections.abc import Sequence

import pytest

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.pipeline.observers import Observers
from tests.support.doubles import make_batch


class Witness:
    """Takes down what it is told; then fails, if it is to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[str] = []
        self._error = error

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        if self._error is not None:
            raise self._error

    def accepted(self, batch: Batch) -> None:
        self._hear(f"accepted {batch.sequence}")

    def buried(self, batch: Batch) -> None:
        self._hear(f"buried {batch.sequence}")

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        self._hear(f"left {[batch.sequence for batch in batches]}")


def test_each_hears_of_everything_whatever_another_makes_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed: list[str] = []
    broken, well = Witness(KeyError("a payload")), Witness()
    observers = Observers({"broken": broken, "well": well}, failed.append)
    batches = [make_batch(1), make_batch(2)]
    for batch in batches:
        observers.accepted(batch)
    observers.buried(batches[0])
    observers.left_the_buffer(batches)
    assert broken.heard == well.heard == ["accepted 1", "accepted 2", "buried 1", "left [1, 2]"]
    assert failed == ["broken"] * 4
    assert "broken failed: KeyError" in caplog.text
    assert "payload" not in caplog.text
