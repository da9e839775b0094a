"""Who may look at the pages for operators: one rule for all of them."""

import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.responses import Response

from playsmart_gateway.envelope import error_body

_CHALLENGE = 'Basic realm="playsmart_gateway", charset="UTF-8"'


class OperatorGate:
    """Lets in everybody in development mode, else those who show the operator's ``token``.

    It is the bearer token, or the password of HTTP Basic with any user name, so a browser can ask
    for it. Without a token nobody gets in, and there is nothing to be seen: 404.
    """

    def __init__(self, token: str | None, *, development: bool = False) -> None:
        self._token = token.encode() if token else None
        self._development = development

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers (by lower-case name) may pass."""
        if self._development:
            return True
        shown = _shown(headers.get("authorization", ""))
        return self._token is not None and hmac.compare_digest(shown, self._token)

    def refusal(self) -> Response:
        """Return the answer to everybody else."""
        if self._token is None:
            return Response(error_body(404, "not_found"), 404, media_type="application/json")
        body = error_body(401, "operator_token_required")
        return Response(body, 401, {"www-authenticate": _CHALLENGE}, "application/json")


def _shown(authorization: str) -> bytes:
    """Return the token that a header shows, be it empty."""
    scheme, _, credentials = authorization.partition(" ")
    credentials = credentials.strip(" ")
    if scheme.lower() == "bearer":
        return credentials.encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
