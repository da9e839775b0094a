"""The gateway as an ASGI application: its routes, and the frame around each request."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, nullcontext
from functools import partial

import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.build import (
    Storage,
    allowance_for,
    gateway_for,
    require_strong_secrets,
    rules_for,
    storage_for,
)
from playsmart_gateway.catalogue.configured import expected_of
from playsmart_gateway.config import Config
from playsmart_gateway.config.verifier import verifier_for
from playsmart_gateway.console import shell
from playsmart_gateway.console.access import (
    Home,
    OperatorGate,
)
from playsmart_gateway.console.catalogue import routes as catalogue
from playsmart_gateway.console.dashboard import routes as dashboard
from playsmart_gateway.console.dead_letters import routes as dead_letters
from playsmart_gateway.console.demo import routes as demo
from playsmart_gateway.console.home import routes as home_page
from playsmart_gateway.console.inspector import routes as inspector_pages
from playsmart_gateway.console.inspector.forward import Source
from playsmart_gateway.console.inspector.redact import (
    Redactor,
    secrets_of,
)
from playsmart_gateway.console.promise import routes as promise
from playsmart_gateway.console.promise import terms_of
from playsmart_gateway.dialects import ALL
from playsmart_gateway.dialects.descriptor import Dialect, Host
from playsmart_gateway.errors import InternalError, MethodNotAllowed, NotFound
from playsmart_gateway.events.batch import PLAYSMART
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.http import ops
from playsmart_gateway.http.content_encoding import Inflater
from playsmart_gateway.http.cross_origin import CrossOriginFrame
from playsmart_gateway.http.endpoint import ERROR_BODY, Tokens, answer_to, refusing, response
from playsmart_gateway.http.error_body import envelope
from playsmart_gateway.http.refusals import path_shown
from playsmart_gateway.http.request_frame import (
    RequestFrame,
    SlashRedirect,
)
from playsmart_gateway.lake import job as lake
from playsmart_gateway.manual import pages as manual
from playsmart_gateway.openapi import page as docs
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.questions.process import Desk
from playsmart_gateway.rate_limit import (
    MAX_WRONG_TRIES,
    WrongTries,
    in_process,
    steady_clock,
)
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stream.options import is_nats


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
    development_token: Callable[..., str] | None = None,
    allowance: Allowance | None = None,
    worker: Peer | None = None,
    dialects: Sequence[Dialect] = ALL,
) -> Application:
    """Return the gateway that ``config`` describes, as an application.

    ``clock`` is the wall time in seconds for all of it. ``worker`` says which of several it is. For
    the rest see ``application``.

    Raises:
        ConfigError: the secrets, the keys or the storage URL cannot be used.
    """
    require_strong_secrets(config)
    take_turn = worker.fair_lock.turn if worker else nullcontext
    gateway = gateway_for(
        config,
        Storage(sink, sink) if sink else storage_for(config, take_turn=take_turn),
        verifier or verifier_for(config.auth),
        development=development,
        worker=worker,
        machine=Machine(wall=clock),
    )
    return application(
        gateway,
        config,
        steady=steady,
        development=development,
        development_token=development_token,
        allowance=allowance,
        dialects=dialects,
    )


def application(
    gateway: Gateway,
    config: Config,
    *,
    steady: Callable[[], float] = steady_clock,
    development: bool = False,
    development_token: Callable[..., str] | None = None,
    allowance: Allowance | None = None,
    dialects: Sequence[Dialect] = ALL,
) -> Application:
    """Return ``gateway`` as an ASGI application, which has it at ``app.state.gateway``.

    Calls a second are counted by ``steady``, which nobody sets. In ``development`` the pages for
    operators are there for this machine, without a token if none is configured;
    ``development_token`` mints a token that ``/docs`` gives to who asks from this machine, and of
    a player that it is called with one for ``/demo``, which is there then. Several
    workers share an ``allowance`` that was made before them. It speaks these ``dialects``.
    """
    worker = gateway.worker
    pays_coins = any(game.coins_enabled for game in config.games)
    tries = WrongTries(
        gateway.stats.count_auth_failure,
        max_waiting=min(MAX_WRONG_TRIES, max(1, config.server.max_connections // 10)),
    )
    gateway.verifier.on_invalid = partial(gateway.stats.count_auth_failure, "token")
    home = Home(config.server.host)
    gate = OperatorGate(config.operator.token, tries, home=home, development=development)
    decoding = gateway.slots.decoding
    host = Host(
        config,
        rules_for(config),
        intake=gateway.intake,
        commit_queue=gateway.commit_queue,
        stats=gateway.stats,
        store=gateway.store,
        accounts=gateway.store.accounts,
        reader=gateway.reader,
        statistics=gateway.statistics,
        tokens=Tokens(gateway.verifier, config.auth.trust_forwarded),
        known_players=gateway.known_players,
        decoding=decoding,
        inflater=Inflater(
            config.server.max_body_bytes, gateway.slots.limits.max_body_bytes, decoding
        ),
        allowance=allowance or allowance_for(config),
        make_limit=partial(worker.counts.limit if worker else in_process, clock=steady),
        tries=tries,
        gate=gate,
        clock=gateway.wall,
    )
    opened = [dialect.open(host) for dialect in dialects]
    endpoints = {path: each for one in opened for path, each in one.endpoints.items()}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with ExitStack() as closing:
            for each in opened:
                closing.callback(each.close)
            async with gateway.running():
                yield

    async def call_frame(scope: Scope, receive: Receive, send: Send) -> None:
        await app.frame(scope, receive, send)

    known_paths = [
        *endpoints,
        *(r.path for one in opened for r in one.routes if isinstance(r, Route)),
        *ops.PATHS,
    ]
    pages = {each.PATH: each.TITLE for each in (dashboard, catalogue, inspector_pages)}
    if development_token is not None:
        pages[demo.PATH] = demo.TITLE
    pages = pages if gate.opens else {}
    taken = {path: text for each in dialects for path, text in each.links.items()}
    frames = shell.shell_for(operators=gate.opens, demo=development_token is not None)
    around = frames.frame
    sources = {each.name: each.shown_as for each in dialects if each.shown_as}
    redactor = Redactor(secrets_of(msgspec.to_builtins(config)), known_paths)
    own_routes = [
        *ops.routes(
            gateway,
            pages | taken,
            home_page.page(frames, taken, [promise.PANEL]),
            of_process=worker is None,
        ),
        *shell.routes(),
        *home_page.routes(gateway, gate, endpoints, development_token),
        *docs.routes(
            lambda: [piece for each in dialects for piece in each.pieces()],
            development_token,
            home,
            around,
        ),
        *manual.routes(around),
        *inspector_pages.routes(
            Source(
                gateway.inspector,
                redactor,
                gateway.inspected,
                coins_source=PLAYSMART if pays_coins else "",
            ),
            gate,
            around,
            worker=worker,
            trials={path: each for one in opened for path, each in one.trials.items()},
            app=call_frame if development else None,
        ),
        *dashboard.routes(gateway, gate, endpoints, sources, _desk(config), around, gateway.wall),
        *catalogue.routes(gateway, gate, around, expected_of(config), gateway.wall),
        *promise.routes(_panel(gateway, config), gate),
        *dead_letters.routes(gateway.inspected, gate, redactor, around),
    ]
    if development_token is not None:
        own_routes += demo.routes(gate, development_token, gateway.reader, around)
    app = Application(
        routes=[*own_routes, *(route for each in opened for route in each.routes)],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # its Location would say http, and a host
    app.router.default = SlashRedirect(app.router, endpoints)
    frame: Callable[..., RequestFrame] = RequestFrame
    if origins := config.cors.origins:
        frame = partial(CrossOriginFrame, origins=origins, closed=own_routes)
    app.frame = frame(
        app.call_starlette,
        gateway.stats,
        endpoints,
        observer=gateway.inspector,
        log_access=config.log.access,
        refusals=gateway.slots.refusals,
    )
    app.state.gateway = gateway
    return app


def _desk(config: Config) -> Desk:
    """Return where questions are answered: from the lake if there is one."""
    job = lake.job_for(config)
    if job is None:
        return Desk(config.storage.database_url)
    return Desk(job.database_url, job.lake_url, lake.ANSWERING)


def _panel(gateway: Gateway, config: Config) -> promise.Panel:
    """Return what says what a 202 means, of this configuration and this gateway."""
    follows = promise.Follows(
        figures=gateway.rollups is not None,
        catalogue=config.catalogue.enabled and gateway.learned is not None,
        lake=config.lake.url is not None and config.lake.with_gateway,
    )
    terms = terms_of(config, publishes=is_nats(config.storage.url))
    return promise.Panel(gateway, gateway.sink, terms, follows)


def limited_keys(config: Config, dialects: Sequence[Dialect] = ALL) -> int:
    """Return how many counts the limits of all dialects need."""
    return sum(len(each.keys) for dialect in dialects for each in dialect.limits(config))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = MethodNotAllowed if error.status_code == MethodNotAllowed.status else NotFound
    told = path_shown(request.scope["path"])
    refused = refusing(kind(told=told, cause="" if kind is MethodNotAllowed else "path"))
    refused.headers.update(error.headers or {})
    return refused


async def _internal_error(request: Request, _: Exception) -> Response:
    answer = answer_to(InternalError(), envelope)
    return response(replace(answer, body=request.scope.get(ERROR_BODY, answer.body)))
