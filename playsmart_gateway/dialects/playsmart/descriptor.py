"""What the gateway's own API is to the rest of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from playsmart_gateway.dialects.descriptor import Dialect, Host, Opened
from playsmart_gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from playsmart_gateway.config import Config
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
        if problems:
            raise ConfigError(problems)

    def open(self, host: Host) -> Opened:
        from playsmart_gateway.dialects.playsmart import players, settings
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
        return Opened(endpoints, [*reads, *settings.routes(config)])

    def pieces(self) -> Sequence[Piece]:
        from playsmart_gateway.dialects.playsmart import openapi, openapi_reads

        return openapi.PIECE, openapi_reads.PIECE


PLAYSMART = _PlaySmart()
