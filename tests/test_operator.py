"""Who may see the pages for operators."""

import base64

import pytest

from playsmart_gateway.operator import OperatorGate

TOKEN = "0123456789-operator"


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(f"anybody:{TOKEN}"), basic(f":{TOKEN}")],
)
def test_the_token_is_believed_as_a_bearer_and_as_anybodys_password(authorization: str) -> None:
    assert OperatorGate(TOKEN).allows({"authorization": authorization})


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        TOKEN,
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Digest {TOKEN}",
        basic(TOKEN),
        basic("anybody:"),
        basic(f"{TOKEN}:anything"),
        "Basic ====",
        "Basic é",
        "Bearer é",
        "Bearer ☃",
    ],
)
def test_anything_else_is_asked_for_the_token(authorization: str) -> None:
    gate = OperatorGate(TOKEN)
    assert not gate.allows({"authorization": authorization})
    assert not gate.allows({})
    answer = gate.refusal()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("authorization", ["", "Bearer ", basic("anybody:"), "Bearer None"])
def test_without_a_token_there_is_no_page_for_anybody(authorization: str) -> None:
    gate = OperatorGate(None)
    assert not gate.allows({"authorization": authorization})
    assert gate.refusal().status_code == 404


def test_in_development_mode_everybody_may_see_it() -> None:
    assert OperatorGate(None, development=True).allows({})
    assert OperatorGate(TOKEN, development=True).allows({})
