"""The outermost layer of the application: request id, timing, and the last word on errors.

Plain ASGI, because it is on the path of every request.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from msgspec.structs import replace
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playsmart_gateway.errors import InternalError, MethodNotAllowed, where
from playsmart_gateway.http.answered import Answered, Passed
from playsmart_gateway.http.endpoint import REFUSED, Answer, Endpoint, Headers
from playsmart_gateway.http.ops import PROBES
from playsmart_gateway.http.preferences import by_name
from playsmart_gateway.http.refusals import Refusal, Refusals
from playsmart_gateway.http.request_ids import request_id_of
from playsmart_gateway.logs import fields
from playsmart_gateway.metrics import Stats

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("playsmart_gateway.access")

H = TypeVar("H", bound="Heard")
RawHeaders = list[tuple[bytes, bytes]]

SendAtOnce = Callable[[Answer, bytes], None]
"""Sends an answer, with the id of its request."""

Attempt = Callable[[bytes, Headers, bytes, SendAtOnce], bool]
"""See ``RequestFrame.attempt``."""

ANSWER = "playsmart.answer"
"""An ASGI extension of our own server: ``(status, headers, body) -> bool`` sends a whole answer at
once. ``send`` would check and copy each header and make two system calls."""

HEADERS = "playsmart.headers"
"""A key of the ASGI scope, of our own server: the headers by name, as it made them already."""

_NONE: Mapping[str, Any] = {}


class Heard(Protocol):
    """A request that is listened to; ``receive`` takes the place of the server's."""

    receive: Receive


class Remembers(Protocol):
    """Keeps few of the requests that are taken: none until ``rests_until``, by the same clock.

    Those are counted in ``passed`` by who looked.
    """

    rests_until: float
    passed: int


class _Forgetful:
    """Where nobody observes, nothing is wanted."""

    __slots__ = ("passed", "rests_until")

    def __init__(self) -> None:
        self.rests_until, self.passed = float("inf"), 0


class Observer(Protocol[H]):
    """Is told of requests that are refused, of all others too while it is ``watched``.

    Of those that are not it is told of as many as ``memory`` wants; ``shows_bodies`` if it is to
    have heard each.
    """

    watched: bool
    shows_bodies: bool

    @property
    def memory(self) -> Remembers:
        """Says whether to tell of what is taken."""
        ...

    def hear(self, receive: Receive, headers: Headers) -> H:
        """Listen to a request that begins."""
        ...

    def heard(self, headers: Headers, body: bytes) -> H:
        """Have listened to a request that is here as a whole."""
        ...

    def saw(
        self,
        heard: H | None,
        *,
        path: str,
        request_id: bytes,
        authorization: bytes,
        answer: Answer,
        seconds: float,
        at: float,
    ) -> None:
        """Be told of a request that was answered, and when."""
        ...

    def passed(self, request: Passed) -> None:
        """Be told of a request that reached no endpoint, and was refused."""
        ...


class RequestFrame:
    """The outermost layer: each answer carries ``X-Request-ID`` and is counted by route and status.

    ``endpoints`` answer the POST requests to their paths at once; everything else goes to ``app``.
    These are the busiest requests, and routing them through Starlette's layers would cost a tenth
    of their time.

    A sane id (see ``request_ids``) is echoed, else one is made. An exception that
    nobody expected answers 500 in the envelope and is logged once, by type and place only: its
    text could quote what the client sent. While somebody watches, the ``observer`` is told of
    the requests that endpoints answer. What was taken is remembered, and what was refused noted, by
    ``refusals``. With ``log_access`` every answer is logged, by its route, with the name of the
    batch that was taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        stats: Stats,
        endpoints: Mapping[str, Endpoint[Any, Any]],
        clock: Callable[[], float] = time.perf_counter,
        *,
        observer: Observer[Any] | None = None,
        log_access: bool = False,
        refusals: Refusals | None = None,
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._targets = {quote(path).encode(): (path, each) for path, each in endpoints.items()}
        self._stats = stats
        self._clock = clock
        self._log_access = log_access
        self._observer = observer
        self._memory: Remembers = _Forgetful() if observer is None else observer.memory
        self._heard = observer.heard if observer is not None and observer.shows_bodies else None
        self._refusals = refusals or Refusals(stats, Answered())
        self._took = self._refusals.answered.took

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        headers = scope.get(HEADERS) or by_name(scope["headers"])
        request_id = request_id_of(headers)
        path = scope["path"]
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            await self._pass_on(scope, receive, send, request_id, started)
            return
        heard = None
        observer = self._observer
        if observer is not None and (observer.watched or observer.shows_bodies):
            heard = observer.hear(receive, headers)
            receive = heard.receive
        try:
            answer = (
                await endpoint(headers, receive)
                if scope["method"] == "POST"
                else _not_post(endpoint)
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log(error, request_id)
            answer = endpoint.answer_to(InternalError())
        if answer is None:
            return
        headed = _headed(answer, request_id)
        at_once = scope.get("extensions", _NONE).get(ANSWER) if scope["method"] == "POST" else None
        if at_once is None or not at_once(answer.status, headed, answer.body):
            await send({"type": "http.response.start", "status": answer.status, "headers": headed})
            await send({"type": "http.response.body", "body": answer.body})
        self._note(scope["method"], path, request_id, answer, self._clock() - started)
        if scope["method"] == "POST":
            self._show(heard, path, request_id, headers, answer, started)
        else:
            self._show_passed(scope, request_id, answer, started)

    def attempt(self, target: bytes, headers: Headers, body: bytes, send: SendAtOnce) -> bool:
        """Answer a POST request that is here as a whole, if its endpoint needs no more than that.

        Then ``send`` is given the answer, once, now or later. Else nothing was done, and the
        application is to be called. It costs half of that: there is no scope, no task and no
        event of the request, and whoever settles its batch writes the answer.
        """
        found = self._targets.get(target)
        if found is None or (self._observer is not None and self._observer.watched):
            return False
        path, endpoint = found
        started = self._clock()
        request_id = request_id_of(headers)
        heard = None if self._heard is None else self._heard(headers, body)
        memory = self._memory

        def settle(answer: Answer) -> None:
            try:
                send(answer, request_id)
                now = self._clock()
                self._note("POST", path, request_id, answer, now - started)
                if now < memory.rests_until and answer.status < 400:
                    memory.passed += 1
                else:
                    self._show(heard, path, request_id, headers, answer, started)
            except Exception as error:  # noqa: BLE001 - the others of its group are to be settled
                _log(error, request_id)

        try:
            return endpoint.attempt(headers, body, settle)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log(error, request_id)
            settle(endpoint.answer_to(InternalError()))
            return True

    def _note(
        self, method: str, path: str, request_id: bytes, answer: Answer, seconds: float
    ) -> None:
        """Count a request that was answered, remember it, and log it if that is wished."""
        self._stats.observe_request(path, answer.status, seconds)
        if (batch := answer.batch) is not None:
            self._took(request_id, answer.status, batch, answer.rejected)
        elif answer.reason:
            self._refusals.note(_refusal(answer, request_id, method, path))
        if self._log_access:
            _log_answer(method, path, answer.status, seconds, request_id, answer)

    def _show(
        self,
        heard: Any,
        path: str,
        request_id: bytes,
        headers: Headers,
        answer: Answer,
        started: float,
    ) -> None:
        """Have the observer, if there is one, see a request that an endpoint answered."""
        observer, now = self._observer, self._clock()
        if observer is None:
            return
        observer.saw(
            heard,
            path=path,
            request_id=request_id,
            authorization=headers.get(b"authorization", b""),
            answer=answer,
            seconds=now - started,
            at=now,
        )

    def _show_passed(self, scope: Scope, request_id: bytes, answer: Answer, started: float) -> None:
        """Have the observer see a refusal of what no endpoint answered."""
        if self._observer is not None and scope["path"] not in PROBES:
            seconds = self._clock() - started
            status, reason = answer.status, answer.reason or str(answer.status)
            self._observer.passed(
                Passed(
                    scope["method"],
                    scope["path"],
                    request_id,
                    status,
                    reason,
                    answer.body,
                    seconds,
                    answer.told,
                )
            )

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, request_id: bytes, started: float
    ) -> None:
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self._app(scope, receive, send_framed)
        except Exception as error:  # noqa: BLE001 - Starlette answered it and raised it once more
            _log(error, request_id)
        if status:
            route = scope.get("route")
            label = "unmatched" if route is None else route.path
            seconds = self._clock() - started
            self._stats.observe_request(label, status, seconds)
            answer = scope.get(REFUSED)
            if answer is not None:
                self._refusals.note(_refusal(answer, request_id, scope["method"], label))
            if self._log_access:
                _log_answer(scope["method"], label, status, seconds, request_id, answer)
            if status >= 400:
                self._show_passed(scope, request_id, answer or Answer(status, b"", ()), started)


class SlashRedirect:
    """Where nothing was found: redirects a path with slashes behind it to the one without.

    ``paths`` are those that the router does not know. The ``Location`` is relative. An absolute one
    would have to know the scheme and the host that the client asked for, which proxies tell or do
    not tell in many ways. With 307 a client sends its body again (RFC 9110 section 15.4.8).
    """

    def __init__(self, router: Router, paths: Collection[str]) -> None:
        self._router = router
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 307, or 404."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith("/"):
            bare = {**scope, "path": path.rstrip("/")}
            if bare["path"] in self._paths or any(
                route.matches(bare)[0] is not Match.NONE for route in self._router.routes
            ):
                location = quote(bare["path"])
                if query := scope["query_string"].decode("latin-1"):
                    location += f"?{query}"
                await Response(status_code=307, headers={"location": location})(
                    scope, receive, send
                )
                return
        await self._router.not_found(scope, receive, send)


def _refusal(answer: Answer, request_id: bytes, method: str, route: str) -> Refusal:
    return Refusal(request_id, answer.status, answer.reason, answer.told, method, route)


def _headed(answer: Answer, request_id: bytes) -> RawHeaders:
    length = b"%d" % len(answer.body)
    return [*answer.headers, (b"content-length", length), (b"x-request-id", request_id)]


def _not_post(endpoint: Endpoint[Any, Any]) -> Answer:
    answer = endpoint.answer_to(MethodNotAllowed())
    return replace(answer, headers=[*answer.headers, (b"allow", b"POST")])


def _log(error: Exception, request_id: bytes) -> None:
    logger.error("%s", where(error), extra=fields(request_id=request_id.decode("ascii")))


def _log_answer(
    method: str,
    route: str,
    status: int,
    seconds: float,
    request_id: bytes,
    answer: Answer | None = None,
) -> None:
    more: dict[str, Any] = {}
    if answer is not None and answer.batch is not None:
        more |= {"batch": answer.batch.name, "events": answer.batch.count}
    if answer is not None and answer.rejected:
        more["rejected"] = answer.rejected
    if answer is not None and answer.reason:
        more["reason"] = answer.reason
    told = fields(
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1_000, 3),
        request_id=request_id.decode("ascii"),
        **more,
    )
    access_logger.info("answered", extra=told)
