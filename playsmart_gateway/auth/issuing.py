"""The tokens that the gateway signs itself, for accounts: one to send with, one to get the next."""

from collections.abc import Callable
from typing import NamedTuple

from playsmart_gateway.auth.tokens import REFRESH, mint

ACCESS_SECONDS = 30 * 86_400
REFRESH_SECONDS = 180 * 86_400
ALGORITHM = "HS256"


class Issued(NamedTuple):
    """The two tokens of a player."""

    access_token: str
    refresh_token: str


class Issuer:
    """Signs tokens with ``secret``, called ``kid``, that say what ``[auth]`` wants of tokens.

    ``clock`` gives epoch seconds.
    """

    def __init__(
        self,
        secret: str,
        kid: str | None,
        *,
        issuer: str | None,
        audience: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._kid = kid
        self._clock = clock
        claims = {"iss": issuer, "aud": audience}
        self._claims = {name: value for name, value in claims.items() if value is not None}

    def issue(self, subject: str, not_before: int) -> Issued:
        """Return new tokens; they were issued at ``not_before`` if that is yet to come."""
        now = max(self._clock(), not_before)
        return Issued(
            self._signed(subject, ACCESS_SECONDS, now, {}),
            self._signed(subject, REFRESH_SECONDS, now, REFRESH),
        )

    def _signed(self, subject: str, seconds: int, now: float, claims: dict[str, str]) -> str:
        return mint(
            subject,
            secret=self._secret,
            kid=self._kid,
            algorithm=ALGORITHM,
            ttl_seconds=seconds,
            now=now,
            claims={**self._claims, **claims},
        )
