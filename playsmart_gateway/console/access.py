"""Who may see the pages for operators: whoever has the token, or this machine in development mode.

A page of a stranger, open in a browser on this machine, must not get at them. It can send requests
here under a name of its own (DNS rebinding), so in development mode only names of this machine are
answered; and it can have the browser send some along with the operator's password, so none that a
page of another site began is answered at all, but for following a link to a page.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from playsmart_gateway.errors import Forbidden, NotFound, Unauthenticated
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.static import SECURITY_HEADERS
from playsmart_gateway.rate_limit import WrongTries

DOOR = "operator"

_CHALLENGE = 'Basic realm="playsmart_gateway", charset="UTF-8"'
_HOME = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what these mean is the point
_authority = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@/\s]+)(?::[0-9]*)?").fullmatch

Headers = Mapping[str, str]
"""Those of a request, by lower-case name."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    name = _name(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class Home:
    """The names under which this machine is asked by itself: loopback, and where it listens.

    Where it listens everywhere, any address is one: a stranger's page comes under a name.
    """

    def __init__(self, host: str) -> None:
        self._names = _HOME | {_name(host)}
        self._takes_addresses = _name(host) in _EVERYWHERE

    def was_asked(self, headers: Headers) -> bool:
        """Whether a request was sent to such a name, and by no page that is not ours."""
        host = headers.get("host", "")
        origin = headers.get("origin")
        is_ours = origin is None or origin.partition("://")[2] == host
        return is_ours and self._knows(host) and not is_cross_site(headers)

    def _knows(self, host: str) -> bool:
        if (match := _authority(host)) is None:
            return False
        name = _name(match[1])
        return name in self._names or (self._takes_addresses and _is_address(name))


def is_cross_site(headers: Headers) -> bool:
    """Whether a page of another site had the browser send this; following a link is not that."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) != (
        "navigate",
        "document",
    )


def _name(host: str) -> str:
    name = host.strip("[]").lower()
    return str(ip_address(name)) if _is_address(name) else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class OperatorGate:
    """Believes whoever sends ``token`` as a bearer, or as the password of any user (HTTP Basic).

    In ``development`` it answers only what was sent to ``home``, and if there is no token it
    believes everybody there. A wrong token costs what ``tries`` says.
    """

    def __init__(
        self,
        token: str | None,
        tries: WrongTries,
        *,
        home: Home | None = None,
        development: bool = False,
    ) -> None:
        self._token = token.encode() if token else None
        self._tries = tries
        self._home = home or Home("localhost")
        self._development = development

    @property
    def opens(self) -> bool:
        """Whether there is anybody who may see the pages."""
        return self._development or self._token is not None

    async def admit(self, sent: bytes) -> None:
        """Let in who ``sent`` the token beside a credential of their own, in development everybody.

        No browser adds such a credential by itself, so no page of a stranger can send the request.

        Raises:
            NotFound: there is no token to know.
            Unauthenticated: it is not this one.
        """
        if self._development:
            return
        if self._token is None:
            raise NotFound
        if not hmac.compare_digest(sent, self._token):
            if sent:
                await self._tries.pay(DOOR)
            raise _wants_token()

    async def refusal(self, headers: Headers) -> Response | None:
        """Return None for who may see the page, and the answer for all others.

        That is 403 for pages of other sites, 401, or 404 where there is no token to know.
        """
        if is_cross_site(headers) or (self._development and not self._home.was_asked(headers)):
            return refusing(Forbidden("not_for_other_sites", cause="site"))
        if self._token is None:
            return None if self._development else refusing(NotFound())
        sent = _credential(headers.get("authorization", ""))
        if sent is not None and hmac.compare_digest(sent, self._token):
            return None
        if sent:
            await self._tries.pay(DOOR)
        refusal = refusing(_wants_token())
        refusal.headers["www-authenticate"] = _CHALLENGE
        return refusal


PageEndpoint = Callable[[Request], Awaitable[Response]]


def guarded(gate: OperatorGate, endpoint: PageEndpoint) -> PageEndpoint:
    """Return what answers as ``endpoint`` to whom ``gate`` lets in; nobody keeps the answer."""

    async def answer(request: Request) -> Response:
        response = await gate.refusal(request.headers) or await endpoint(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("cache-control", "no-store")
        return response

    return answer


def _credential(authorization: str) -> bytes | None:
    scheme, _, credential = authorization.partition(" ")
    sent = credential.strip(" ").encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(sent, validate=True).partition(b":")[2]
        except binascii.Error:
            return None
    return sent if scheme.lower() == "bearer" else None


def _wants_token() -> Unauthenticated:
    return Unauthenticated("operator_token_required", cause="operator")
