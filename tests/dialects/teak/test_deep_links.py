"""Deep links: which are managed, and what they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.deep_links import (
    resolve,
    short_link,
)

DOMAINS = {"game.example", "go.example"}
LINKS = {"/shop": "teak1:///shop", "go.example/shop": "teak1:///sale", "game.example": "game:///"}


@pytest.mark.parametrize(
    ("link", "template"),
    [
        (
            "teak12345:///reward?level={{player_level}}",
            "teak12345:///reward?level={{player_level}}",
        ),
        ("TEAK12345:///reward", "TEAK12345:///reward"),
        ("https://game.example/shop", "teak1:///shop"),
        ("http://game.example/shop/", "teak1:///shop"),
        ("https://GAME.example:443/shop?from=mail#top", "teak1:///shop"),
        ("https://go.example/shop", "teak1:///sale"),
        ("https://game.example", "game:///"),
        ("https://game.example/", "game:///"),
    ],
)
def test_a_managed_link_stands_for_a_template(link: str, template: str) -> None:
    assert resolve(link, DOMAINS, LINKS) == template


@pytest.mark.parametrize(
    "link",
    [
        "", "shop", "/shop", "tea", "teak", "teak/{{x}}", "x-teak:",
        "game:///{{x}}", "mailto:a@game.example", "https:///shop",
        "https://game.example/unknown", "https://game.example/Shop", "https://other.example/shop",
        "https://game.example.evil.example/shop", "https://evil.example/?game.example/shop",
        "ftp://game.example/shop", "https://[/shop", "https://game.example@evil.example/shop",
        "https://game.example:99999999/shopping", "\0", "https://" + "a" * 100_000,
    ],
)  # fmt: skip
def test_any_other_link_is_not_ours(link: str) -> None:
    assert resolve(link, DOMAINS, LINKS) is None


@given(st.text(max_size=40) | st.text("htps:/[]@%.#?gamex", max_size=40))
def test_any_text_can_be_asked_for_as_a_link(text: str) -> None:
    short_link(text)
    resolve(text, DOMAINS, LINKS)
