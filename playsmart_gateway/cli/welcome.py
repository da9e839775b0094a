"""What development mode prints once the gateway listens: where things are, and what to paste."""

import logging
import time
from collections.abc import Iterable, Sequence

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.build import rules_for
from playsmart_gateway.cli.common import development_secret_file
from playsmart_gateway.config import Config, without_password
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.dialects.teak.section import Teak
from playsmart_gateway.errors import Detail

logger = logging.getLogger(__name__)

EXAMPLE_TOKEN_SECONDS = 30 * 86_400
SHOWN = 5
"""How many games, apps and events are named."""

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not to listen


def welcome(
    config: Config,
    port: int,
    not_ready: Sequence[Detail] = (),
    *,
    made: bool,
    is_at_home: bool,
) -> str:
    """Return what tells a developer where things are, with requests to paste elsewhere.

    ``port`` is the one that the gateway listens at, whatever is configured, and ``not_ready`` why
    it cannot store yet; ``made`` whether the secret is a new one. The examples are there only if it
    ``is_at_home``, on loopback.
    """
    from playsmart_gateway.dialects.playsmart.openapi import GAME, PLAYER  # all of the examples

    token, url = example_token(config), url_of(config, port)
    body = (
        f'{{"user_id": "{PLAYER}", "game_id": "{GAME}", "events": ['
        '{"type": "LevelCompleted", "timestamp": "2026-04-22T14:30:00+00:00", '
        '"customdata": {"level": 5, "score": 4800}}]}'
    )
    database = without_password(config.storage.database_url).removeprefix("sqlite:///")
    reasons = "; ".join(f"{each.path}: {each.message}" for each in not_ready)
    not_yet = f"\nIt is not ready yet ({reasons}): see {url}/readyz\n" if reasons else ""
    demo = f", or play: {url}/demo" if is_at_home else ""
    return f"""
Development mode. The secret is {"new, random and" if made else "the one"} kept in
{development_secret_file(config)} (mode 0600).
Events go to {database}, relation "events".
{not_yet}
How it is: {url}/, requests as they come: {url}/inspector,
and what they add up to: {url}/dashboard

Paste this into another terminal:

curl -i {url}/ingest/events \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' \\
  -d '{body}'
{_coins(config, url, token, GAME, PLAYER)}{_others(config) if is_at_home else ""}
Or try everything in a browser: {url}/docs{demo}
{"" if config.of(Lynes).auth else _HOW_TO_KEEP_LYNES_APART.format(url=url)}"""


def announce(
    config: Config, port: int, not_ready: Sequence[Detail], *, made: bool, is_at_home: bool
) -> None:
    """Print the welcome; where the log is JSON, log one record without a token in its place.

    Who has the log in JSON gives it to a program, which would take each of these lines for one.
    """
    if config.log.format == "json":
        logger.info("development mode: all there is to try is at %s/docs", url_of(config, port))
        return
    print(welcome(config, port, not_ready, made=made, is_at_home=is_at_home), flush=True)  # noqa: T201 - it is
    # for who started it; the log may go elsewhere


def url_of(config: Config, port: int) -> str:
    """Return how a program on this machine reaches the gateway."""
    host = _EVERYWHERE.get(config.server.host, config.server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def example_token(config: Config, player: str = "") -> str:
    """Return a token of the player of the examples, or another one, for thirty days."""
    from playsmart_gateway.dialects.playsmart.openapi import PLAYER

    secret = config.auth.secret
    assert secret is not None
    return mint(player or PLAYER, secret=secret, ttl_seconds=EXAMPLE_TOKEN_SECONDS, now=time.time())


def _coins(config: Config, url: str, token: str, game: str, player: str) -> str:
    """Return how to see what that earned, if the game of the examples pays."""
    rule = next((each for each in rules_for(config) if each.game_id == game), None)
    if rule is None or not (least := rule.level_award(rule.min_amount)):
        return ""
    most = rule.level_award(rule.max_amount)
    coins = f"{least} coins" if least == most else f"{least} to {most} coins"
    return f"""
It pays {coins}, which are here a few seconds later:

curl {url}/v1/players/{player} \\
  -H 'Authorization: Bearer {token}'
"""


def _others(config: Config) -> str:
    """Return what else there is for the examples."""
    games = _some(rule.game_id for rule in rules_for(config) if rule.pays)
    return f"""
There to try, in development mode only unless it is configured:
  games that pay coins  {games}
  apps of Teak          {_some(each.id for each in config.of(Teak).apps)}
  events of Lynes       {_some(each.id for each in config.of(Lynes).events)}
"""


def _some(names: Iterable[str]) -> str:
    first, *others = [*names] or ["none"]
    shown = ", ".join((first, *others[: SHOWN - 1]))
    return f"{shown}, and {more} more" if (more := len(others) + 1 - SHOWN) > 0 else shown


_HOW_TO_KEEP_LYNES_APART = """
Lynes (POST {url}/event) is for your servers. Before players get tokens, give it keys that they
have not, in a configuration, and mint its tokens with `playsmart-gateway token --lynes`:

[lynes.auth]
secret = "..."  # what `openssl rand -hex 32` prints
"""
