"""Who follows what becomes of batches, beside their path: it goes on whatever they make of it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from playsmart_gateway.errors import where
from playsmart_gateway.events.batch import Batch

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told of each batch; it must be quick, as requests wait for it."""

    def buried(self, batch: Batch) -> None:
        """Take note that a batch can never be stored, before it leaves the buffer."""
        ...

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        """Take note that these are stored, or buried."""
        ...


@runtime_checkable
class FromTheStart(Observer, Protocol):
    """Is told of each batch before it can leave the buffer, too; every request pays for it."""

    def accepted(self, batch: Batch) -> None:
        """Take note that a batch is kept and enters the buffer."""
        ...


class Observers:
    """Tells each of the ``observers``, by their names; ``failed`` is told who failed."""

    def __init__(
        self,
        observers: Mapping[str, Observer],
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._observers = tuple(observers.items())
        self._from_the_start = tuple(
            (name, each) for name, each in observers.items() if isinstance(each, FromTheStart)
        )
        self._failed = failed

    def accepted(self, batch: Batch) -> None:
        """Tell them."""
        for name, observer in self._from_the_start:
            try:
                observer.accepted(batch)
            except Exception as error:  # noqa: BLE001
                self._note(name, error)

    def buried(self, batch: Batch) -> None:
        """Tell them."""
        for name, observer in self._observers:
            try:
                observer.buried(batch)
            except Exception as error:  # noqa: BLE001
                self._note(name, error)

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        """Tell them."""
        for name, observer in self._observers:
            try:
                observer.left_the_buffer(batches)
            except Exception as error:  # noqa: BLE001
                self._note(name, error)

    def _note(self, name: str, error: Exception) -> None:
        self._failed(name)
        logger.error("%s failed: %s", name, where(error))


NOBODY = Observers({})
