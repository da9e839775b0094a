"""What to say when there are no such events: which games, types and names there are."""

from playsmart_gateway.cli.common import run_async
from playsmart_gateway.cli.grouping import near
from playsmart_gateway.cli.printing import say
from playsmart_gateway.config import Config
from playsmart_gateway.errors import GatewayError
from playsmart_gateway.stores.learned import EventKey
from playsmart_gateway.stores.open import open_store

NO_RUNS = "no runs to count: one counts when nothing has come of it for an hour"


def unknown_names(
    config: Config,
    *,
    game: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    label: str | None = None,
) -> list[str]:
    """Return what is not known of a game, a type and a name of events, a sentence each.

    A ``label`` is a name, or the type of events that have none.

    Known is what the catalogue has learned of stored events, and the games that are configured.
    Where a store keeps no catalogue, or cannot be read, nothing is said.
    """
    try:
        keys = run_async(_learned(config))
    except GatewayError:
        return []
    of_game = [each for each in keys if game in (None, each.game_id)] or [*keys]
    games = [each.game_id for each in keys] + [each.id for each in config.games]
    asked = (
        ("game", game, games),
        ("type", kind, [each.type for each in of_game]),
        ("name", name, [each.name for each in of_game]),
        ("name", label, [each.name or each.type for each in of_game]),
    )
    return [
        f"no event of the {what} {given!r} is known.{near(given, _listed(known))}"
        for what, given, known in asked
        if given is not None and keys and given not in known
    ]


def tell_unknown(
    config: Config,
    *,
    game: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    label: str | None = None,
) -> None:
    """Say on standard error what may have been misspelt, where nothing was found."""
    for each in unknown_names(config, game=game, kind=kind, name=name, label=label):
        say(f"note: {each}", err=True)


async def _learned(config: Config) -> list[EventKey]:
    learned = open_store(config.storage.database_url, migrates=False).learned
    if learned is None:
        return []
    async with learned:
        return [*(await learned.kept()).learned]


def _listed(names: list[str]) -> list[str]:
    return [*dict.fromkeys(filter(None, sorted(names)))]
