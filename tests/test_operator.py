"""Who may look: everybody in development, else who has the token, else nobody."""

import base64

import pytest

from playsmart_gateway.operator import OperatorGate

TOKEN = "a token of operators, é"


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


@pytest.mark.parametrize(
    "headers",
    [
        basic("anybody", TOKEN),
        basic("", TOKEN),
        {"authorization": f"bearer {TOKEN}"},
        {"authorization": f"Bearer  {TOKEN} "},
    ],
)
def test_who_shows_the_token_may_look(headers: dict[str, str]) -> None:
    assert OperatorGate(TOKEN).allows(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("anybody", "something else"),
        basic(TOKEN, ""),
        {"authorization": "Bearer"},
        {"authorization": "Bearer \udcff"},
        {"authorization": f"Digest {TOKEN}"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic YQ"},
        {"authorization": "Basic é"},
    ],
)
def test_nobody_else_may(headers: dict[str, str]) -> None:
    gate = OperatorGate(TOKEN)
    assert not gate.allows(headers)
    refusal = gate.refusal()
    assert refusal.status_code == 401
    assert refusal.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_there_is_nothing_to_be_seen(token: str | None) -> None:
    gate = OperatorGate(token)
    assert not gate.allows({})
    assert not gate.allows(basic("", ""))
    assert gate.refusal().status_code == 404


@pytest.mark.parametrize("token", [None, TOKEN])
def test_in_development_everybody_may_look(token: str | None) -> None:
    assert OperatorGate(token, development=True).allows({})
