"""The gateway as an ASGI application: its routes, and the frame around each request."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, nullcontext
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.build import (
    Storage,
    access_for,
    allowance_for,
    gateway_for,
    lynes_auth,
    lynes_verifier_for,
    program_for,
    require_strong_secrets,
    rules_for,
    storage_for,
    teak_apps_for,
    verifier_for,
)
from playsmart_gateway.config import Config
from playsmart_gateway.console.access import (
    Home,
    OperatorGate,
)
from playsmart_gateway.console.dashboard import routes as dashboard
from playsmart_gateway.console.inspector import routes as inspector_pages
from playsmart_gateway.console.inspector.redact import (
    Redactor,
    secrets_of,
)
from playsmart_gateway.dialects.lynes import endpoint as lynes
from playsmart_gateway.dialects.lynes import reads
from playsmart_gateway.dialects.pieces import PIECES
from playsmart_gateway.dialects.playsmart import endpoint as playsmart
from playsmart_gateway.dialects.playsmart import players
from playsmart_gateway.dialects.teak.endpoints import (
    AnalyticsBatch,
    AnalyticsEvents,
    IdentifyPlayer,
    Parts,
    SetPlayerProperties,
)
from playsmart_gateway.dialects.teak.renderer import Renderer
from playsmart_gateway.economy.coins import draws_for
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.http import ops
from playsmart_gateway.http.endpoint import ERROR_BODY, Endpoint, Tokens
from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.http.request_frame import (
    INTERNAL_ERROR,
    RequestFrame,
    SlashRedirect,
)
from playsmart_gateway.manual import pages as manual
from playsmart_gateway.openapi import page as docs
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.rate_limit import (
    MAX_WRONG_TRIES,
    MakeLimit,
    WrongTries,
    in_process,
    steady_clock,
)
from playsmart_gateway.stores.contract import Store


class Application(Starlette):
    """Starlette with ``frame`` around all of it, its own error layer included."""

    frame: RequestFrame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, or the lifespan."""
        await self.frame(scope, receive, send)

    async def call_starlette(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run what the frame passes on."""
        await super().__call__(scope, receive, send)


def create_app(
    config: Config,
    *,
    verifier: TokenVerifier | None = None,
    sink: Store | None = None,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = steady_clock,
    development: bool = False,
    development_token: Callable[[], str] | None = None,
    allowance: Allowance | None = None,
    worker: Peer | None = None,
) -> Application:
    """Compose the gateway as an ASGI application; its parts are at ``app.state.gateway``.

    ``clock`` is the wall time in seconds for all of it; calls a second are
    counted by ``steady``, which nobody sets. In ``development`` the pages for operators are there
    for this machine, without a token if none is configured, and show what was refused;
    ``development_token`` mints a token that ``/docs`` gives to who asks from this machine.
    ``worker`` says which of several it is; they share an ``allowance`` that was made before them.

    Raises:
        ConfigError: the secrets, the keys or the storage URL cannot be used.
    """
    require_strong_secrets(config)
    rules, program = rules_for(config), program_for(config)
    make_limit: MakeLimit = partial(worker.counts.limit if worker else in_process, clock=steady)
    pays_coins = any(game.coins_enabled for game in config.games)
    take_turn = worker.fair_lock.turn if worker else nullcontext
    gateway = gateway_for(
        config,
        Storage(sink, sink) if sink else storage_for(config, take_turn=take_turn),
        verifier or verifier_for(config.auth),
        development=development,
        worker=worker,
        machine=Machine(wall=clock),
    )
    tokens = Tokens(gateway.verifier, config.auth.trust_forwarded)
    endpoint = playsmart.IngestEvents(
        gateway.intake,
        tokens,
        gateway.stats,
        draws=draws_for(rules),
        max_body_bytes=config.server.max_body_bytes,
        allowance=allowance or allowance_for(config),
        turns=gateway.slots.large_bodies,
    )

    renderer = Renderer()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with closing(renderer):
            async with gateway.running():
                yield

    tries = WrongTries(
        gateway.stats.count_auth_failure,
        max_waiting=min(MAX_WRONG_TRIES, max(1, config.server.max_connections // 10)),
    )
    lynes_verifier = lynes_verifier_for(config) or gateway.verifier
    gateway.verifier.on_invalid = partial(gateway.stats.count_auth_failure, "token")
    lynes_verifier.on_invalid = gateway.verifier.on_invalid
    lynes_tokens = Tokens(lynes_verifier, lynes_auth(config).trust_forwarded)
    send_event = lynes.SendEvent(
        gateway.commit_queue,
        lynes_tokens,
        gateway.stats,
        program,
        access_for(config),
        rate_limit=config.lynes.rate_limit,
        max_body_bytes=config.server.max_body_bytes,
        clock=clock,
        make_limit=make_limit,
        tries=tries,
    )
    endpoints: dict[str, Endpoint[Any, Any]] = {
        playsmart.PATH: endpoint,
        **_teak_endpoints(config, gateway, renderer, make_limit, tries, clock),
        **dict.fromkeys(lynes.PATHS, send_event),
    }
    home = Home(config.server.host)
    gate = OperatorGate(config.operator.token, tries, home=home, development=development)
    app = Application(
        routes=[
            *ops.routes(gateway, of_process=worker is None),
            *docs.routes(PIECES, development_token, home),
            *manual.routes(),
            *inspector_pages.routes(
                gateway.inspector,
                gate,
                Redactor(secrets_of(msgspec.to_builtins(config))),
                gateway.inspected,
                coins_source="playsmart" if pays_coins else "",
                worker=worker,
            ),
            *dashboard.routes(gateway, gate, endpoints),
            *players.routes(
                _public_games(config),
                gateway.reader,
                tokens,
            ),
            *reads.routes(
                program,
                gateway.statistics.points,
                lynes_tokens,
                access_for(config),
                clock=clock,
            ),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # its Location would say http, and a host
    app.router.default = SlashRedirect(app.router, endpoints)
    app.frame = RequestFrame(
        app.call_starlette,
        gateway.stats,
        endpoints,
        observer=gateway.inspector,
        log_access=config.log.access,
    )
    app.state.gateway = gateway
    return app


def limited_keys(config: Config) -> int:
    """Return how many counts the limits need: one of the Lynes project, four of each Teak app."""
    return 1 + 4 * len(config.teak.apps)


def _teak_endpoints(
    config: Config,
    gateway: Gateway,
    renderer: Renderer,
    make_limit: MakeLimit,
    tries: WrongTries,
    clock: Callable[[], float],
) -> dict[str, Endpoint[Any, Any]]:
    limits = config.teak.limits
    parts = Parts(
        apps=teak_apps_for(config),
        intake=gateway.intake,
        known_players=gateway.known_players,
        reader=gateway.reader,
        players=gateway.store,
        renderer=renderer,
        stats=gateway.stats,
        max_body_bytes=config.server.max_body_bytes,
        store_client_ip=config.teak.store_client_ip,
        clock=clock,
        make_limit=make_limit,
        tries=tries,
    )
    endpoints = (
        AnalyticsEvents(parts, limits.analytics_events),
        AnalyticsBatch(parts, limits.batch),
        IdentifyPlayer(parts, limits.identify),
        SetPlayerProperties(parts, limits.player_properties),
    )
    return {endpoint.path: endpoint for endpoint in endpoints}


def _public_games(config: Config) -> list[players.PublicGame]:
    return [
        players.PublicGame(
            number, game.id, game.coins_enabled, game.ads_enabled, game.game_mode, game.maintenance
        )
        for number, game in enumerate(config.games, 1)
    ]


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail.lower().replace(" ", "_")
    body = error_body(error.status_code, message)
    return Response(body, error.status_code, error.headers, "application/json")


async def _internal_error(request: Request, _: Exception) -> Response:
    body = request.scope.get(ERROR_BODY, INTERNAL_ERROR)
    return Response(body, 500, media_type="application/json")
