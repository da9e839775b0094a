"""What removes a game that was only tried out, and the players who were made up for it.

It is not as if they had never been: ids of events and batches are not given again, and the names of
batches stay, so that none comes back. But no table, sum or list tells of them any more.
"""

from typing import NamedTuple, Protocol


class Traces(NamedTuple):
    """What is to go: a game, and all players whose ids begin with ``players``, in every game."""

    game_id: str
    players: str

    @property
    def bounds(self) -> tuple[str, str]:
        """Ids that begin with ``players`` are from the first on, and before the second."""
        return self.players, self.players[:-1] + chr(ord(self.players[-1]) + 1)

    def made(self, user_id: str) -> bool:
        """Whether a player is made up."""
        return user_id.startswith(self.players)


class Clearing(Protocol):
    """Removes traces, beside a gateway that runs, too."""

    async def clear(self, traces: Traces, *, dry_run: bool = False) -> dict[str, int]:
        """Remove all that is stored of a game and of made-up players; return the rows by table.

        A player who is not made up, and has played nothing else, goes with the game. Of one who
        has, coins that the game paid stay in the ledger, which would not add up without them, as
        corrections; they are the ``kept_coin_entries``. Figures of other games lose the players who
        go, not their counts of events and levels.

        It goes in short transactions, so a gateway may run; what that holds in memory has to be
        stored before. With ``dry_run`` rows are only counted.

        Raises:
            SinkUnavailable: some may be gone; what is left is found by calling it again.
        """
        ...
