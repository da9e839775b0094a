"""What the gateway's own API is to the rest of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from playsmart_gateway.config import Game, with_game
from playsmart_gateway.dialects.descriptor import Dialect, Host, Opened
from playsmart_gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playsmart_gateway.auth.passwords import Passwords
    from playsmart_gateway.config import Auth, Config
    from playsmart_gateway.dialects.playsmart import accounts
    from playsmart_gateway.http.endpoint import Endpoint
    from playsmart_gateway.openapi.parts import Piece


class _PlaySmart(Dialect):
    name = "playsmart"
    links: ClassVar[Mapping[str, str]] = {
        "/ingest/events": "send events (POST, bearer token)",
        "/v1/games": "the games that pay coins",
        "/v1/app-settings": "what a client has to know before it sends",
        "/limits": "the same limits, for machines",
    }

    def check(self, config: Config) -> None:
        problems = []
        if config.ingest.games == "configured" and not config.games:
            problems.append('ingest.games: is "configured", and there is no [[games]]')
        if "ingest" in config.app.settings:
            problems.append("app.settings.ingest: is the gateway's to say")
        if config.accounts.enabled and config.auth.has_keys:
            problems += _misfits(config.auth)
        if problems:
            raise ConfigError(problems)

    def open(self, host: Host) -> Opened:
        from playsmart_gateway.auth.passwords import Passwords
        from playsmart_gateway.dialects.playsmart import accounts, players, settings
        from playsmart_gateway.dialects.playsmart.endpoint import PATH, IngestEvents, Parts
        from playsmart_gateway.dialects.playsmart.validate import PATH as VALIDATE
        from playsmart_gateway.dialects.playsmart.validate import ValidateEvents
        from playsmart_gateway.economy.coins import draws_for

        config = host.config
        self.check(config)
        only = config.ingest.games == "configured"
        parts = Parts(
            host.intake,
            host.tokens,
            host.stats,
            draws_for(host.rules),
            host.inflater,
            host.allowance,
            host.decoding,
            frozenset(game.id for game in config.games) if only else None,
            frozenset(origin.encode() for origin in config.cors.origins),
        )
        games = [
            players.PublicGame(
                number,
                game.id,
                game.coins_enabled,
                game.ads_enabled,
                game.game_mode,
                game.maintenance,
            )
            for number, game in enumerate(config.games, 1)
        ]
        rules = {rule.game_id: rule for rule in host.rules}
        endpoints: Mapping[str, Endpoint[Any, Any]] = {
            PATH: IngestEvents(parts),
            VALIDATE: ValidateEvents(parts, rules, host.gate),
        }
        reads = players.routes(games, host.reader, host.tokens)
        routes = [*reads, *settings.routes(config)]
        trials = {PATH: ValidateEvents(parts, rules, host.gate, lenient=True).trial}
        if not config.accounts.enabled:
            return Opened(endpoints, routes, trials=trials)
        passwords = Passwords()
        routes += accounts.routes(_account_parts(host, passwords))
        return Opened(endpoints, routes, passwords.close, trials)

    def pieces(self) -> Sequence[Piece]:
        from playsmart_gateway.dialects.playsmart import openapi, openapi_accounts, openapi_reads

        return openapi.PIECE, openapi_reads.PIECE, openapi_accounts.PIECE

    def with_examples(self, config: Config) -> Config:
        from playsmart_gateway.dialects.playsmart.openapi import COINS, GAME

        accounts = msgspec.structs.replace(config.accounts, enabled=True)
        game = Game(id=GAME, coins_enabled=True, reward_fixed_amount=COINS)
        return with_game(msgspec.structs.replace(config, accounts=accounts), game)


def _misfits(auth: Auth) -> Iterator[str]:
    """Yield why accounts cannot have tokens that these keys verify."""
    if not auth.secret and not auth.secrets:
        yield "accounts.enabled: needs auth.secret or auth.secrets, to sign tokens with"
    elif auth.algorithms and "HS256" not in auth.algorithms:
        yield "accounts.enabled: signs with HS256, which is not in auth.algorithms"


def _account_parts(host: Host, passwords: Passwords) -> accounts.Parts:
    from playsmart_gateway.auth.issuing import Issuer
    from playsmart_gateway.config.verifier import signing_key
    from playsmart_gateway.dialects.playsmart.accounts import Parts
    from playsmart_gateway.rate_limit import SlowLimit

    auth, section = host.config.auth, host.config.accounts
    secret, kid = signing_key(auth)
    issuer = Issuer(secret, kid, issuer=auth.issuer, audience=auth.audience, clock=host.clock)
    return Parts(
        host.accounts,
        host.reader,
        passwords,
        issuer,
        host.tokens.verifier,
        SlowLimit(section.requests_per_minute_of_address),
        SlowLimit(section.tries_per_minute_of_account),
        host.tries,
        host.stats,
        host.inflater,
        host.clock,
        section.address_header,
    )


PLAYSMART = _PlaySmart()
