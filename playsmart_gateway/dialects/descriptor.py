"""What a dialect is to the rest of the house; a new one is a folder, and a line in ``ALL``.

Whoever needs something of every dialect asks each in ``ALL`` for it: the application for what it
answers, ``/openapi.json`` for its piece, the workers for how many counts its limits need, the
commands for its mistakes, doubts, secrets and examples. Only who answers requests loads more of a
dialect than this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.routing import BaseRoute

    from playsmart_gateway.config import Auth, Config
    from playsmart_gateway.config.tables import DialectSection
    from playsmart_gateway.console.access import OperatorGate
    from playsmart_gateway.dialects.trial import Trial
    from playsmart_gateway.economy.coins import Rule
    from playsmart_gateway.http.content_encoding import Inflater
    from playsmart_gateway.http.endpoint import Endpoint, Tokens
    from playsmart_gateway.http.turns import LongWork
    from playsmart_gateway.metrics import Stats
    from playsmart_gateway.openapi.parts import Piece
    from playsmart_gateway.pipeline.allowance import Allowance
    from playsmart_gateway.pipeline.commit_queue import CommitQueue
    from playsmart_gateway.pipeline.intake import Intake
    from playsmart_gateway.rate_limit import MakeLimit, WrongTries
    from playsmart_gateway.stores.contract import Accounts, AppPlayers
    from playsmart_gateway.stores.readers import Reader


class Limited(NamedTuple):
    """So many calls a second, 0 for no limit, of each of these keys."""

    calls: int
    keys: tuple[str, ...]


class Doubt(NamedTuple):
    """What can be used and should not: shortly for the log, and for ``doctor`` with advice."""

    warning: str
    text: str
    advice: str


class Host(NamedTuple):
    """The parts of a gateway that dialects work with, and what it was configured to do."""

    config: Config
    rules: Sequence[Rule]
    intake: Intake
    commit_queue: CommitQueue
    stats: Stats
    store: AppPlayers
    accounts: Accounts
    reader: Reader
    statistics: Reader
    """Of its own: statistics of a year take their time."""

    tokens: Tokens
    """Those of players."""

    known_players: Any
    """Of the dialect that has such."""

    decoding: LongWork
    inflater: Inflater
    allowance: Allowance | None
    make_limit: MakeLimit
    tries: WrongTries
    gate: OperatorGate
    clock: Callable[[], float]
    """Wall time in seconds."""


class Opened(NamedTuple):
    """What a dialect answers: POST requests by their path, and more ``routes``; then ``close``."""

    endpoints: Mapping[str, Endpoint[Any, Any]]
    routes: Sequence[BaseRoute] = ()
    close: Callable[[], None] = lambda: None
    trials: Mapping[str, Trial] = {}
    """What judges bodies for who looks into what is sent, by the path of the endpoint."""


class Dialect(ABC):
    """One way in which games, or their servers, talk to us.

    ``name`` is the source of its events, ``section`` its table of the configuration. ``links`` are
    paths for the list at ``/``, with what they are for. The dashboard shows all of its events as
    ``shown_as``; those of one without, by their types.
    """

    name: ClassVar[str]
    section: ClassVar[type[DialectSection] | None] = None
    shown_as: ClassVar[str] = ""
    links: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def open(self, host: Host) -> Opened:
        """Return what it answers.

        Raises:
            ConfigError: with every mistake in what is configured for it.
        """

    @abstractmethod
    def pieces(self) -> Sequence[Piece]:
        """Return its chapters of the OpenAPI document."""

    def limits(self, config: Config) -> Sequence[Limited]:
        """Return the limits of calls that it makes; workers share the counts of all of them."""
        return ()

    def check(self, config: Config) -> None:  # noqa: B027
        """Raise ``ConfigError`` for what could not be opened."""

    def auth(self, config: Config) -> Auth | None:
        """Return the section of tokens of its own, if it has one, at ``NAME.auth``."""
        return None

    def secrets(self, config: Config) -> Iterator[tuple[str, str]]:
        """Yield the secrets that others chose, with their keys."""
        yield from ()

    def doubts(self, config: Config) -> Iterator[Doubt]:
        """Yield what can be used of the configuration, and should not."""
        yield from ()

    def with_examples(self, config: Config) -> Config:
        """Return ``config`` with what its examples are for, unless it has its own."""
        return config
