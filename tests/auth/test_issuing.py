"""The tokens that the gateway signs: what they say, and until when."""

from typing import Any

import jwt

from playsmart_gateway.auth.issuing import Issuer
from tests.support.doubles import FakeClock
from tests.support.process import SECRET

NOW = 1_800_000_000
DAY = 86_400


def said(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def issuer(kid: str | None = None, **claims: str) -> Issuer:
    names = {"issuer": None, "audience": None, **claims}
    return Issuer(SECRET, kid, clock=FakeClock(NOW + 0.5), **names)


def test_one_token_is_good_for_30_days_and_the_one_that_gets_the_next_for_180() -> None:
    issued = issuer().issue("ada", NOW)
    whose = {"sub": "ada", "iat": NOW}
    assert said(issued.access_token) == {**whose, "exp": NOW + 30 * DAY}
    assert said(issued.refresh_token) == {**whose, "exp": NOW + 180 * DAY, "kind": "refresh"}


def test_tokens_in_the_second_of_a_revocation_are_issued_behind_it() -> None:
    for token in issuer().issue("ada", NOW + 1):
        assert said(token)["iat"] == NOW + 1


def test_both_say_what_is_configured_and_are_signed_by_the_key_that_they_name() -> None:
    for token in issuer("new", issuer="https://id.example", audience="games").issue("ada", 0):
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "new"}
        assert (said(token)["iss"], said(token)["aud"]) == ("https://id.example", "games")
        assert jwt.decode(
            token, SECRET, ["HS256"], options={"verify_aud": False, "verify_iat": False}
        )
    for token in issuer().issue("ada", 0):
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
