"""Who may see the pages for operators: everybody in development mode, else who has the token."""

import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.responses import Response

from playsmart_gateway.envelope import error_body

_CHALLENGE = 'Basic realm="playsmart_gateway", charset="UTF-8"'


class OperatorGate:
    """Believes whoever sends ``token`` as a bearer, or as the password of any user (HTTP Basic)."""

    def __init__(self, token: str | None, *, development: bool = False) -> None:
        self._token = token.encode() if token else None
        self._development = development

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers (by lower-case name) may see the page."""
        if self._development:
            return True
        scheme, _, credential = headers.get("authorization", "").partition(" ")
        sent = credential.strip(" ").encode("latin-1", "replace")
        if scheme.lower() == "basic":
            try:
                sent = base64.b64decode(sent, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != "bearer":
            return False
        return self._token is not None and hmac.compare_digest(sent, self._token)

    def refusal(self) -> Response:
        """Return the answer for all others: 401, or 404 where there is no token to know."""
        if self._token is None:
            return Response(error_body(404, "not_found"), 404, media_type="application/json")
        return Response(
            error_body(401, "operator_token_required"),
            401,
            {"www-authenticate": _CHALLENGE},
            "application/json",
        )
