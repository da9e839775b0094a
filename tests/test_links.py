"""Deep links, and what templates are kept from doing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.links import (
    MAX_LINK_LENGTH,
    MAX_TEXT_LENGTH,
    Property,
    is_template,
    render,
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
    render(text, {})


PROPERTIES: dict[str, Property] = {
    "player_level": "elite",
    "coins": Decimal(300_144),
    "tiny": Decimal("1E-9"),
    "widest": Decimal("-999999999999999999999999999.999999999"),
    "price": Decimal("1.10"),
    "round": Decimal("1.00"),
    "exponent": Decimal("1E+5"),
    "lives": 5,
    "name": "Ada & Söhne",
    "long": "x" * MAX_TEXT_LENGTH,
    "wide": "\U0001f600" * MAX_TEXT_LENGTH,
}


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("teak12345:///reward?level={{player_level}}", "teak12345:///reward?level=elite"),
        ("{{ coins }} {{ lives }} {{ tiny }}", "300144 5 0.000000001"),
        ("{{ widest }} {{ price }}", "-999999999999999999999999999.999999999 1.10"),
        ("{{ exponent }} {{ round }}", "100000 1"),
        ("{{ name }}", "Ada & Söhne"),
        ("{{ name | url_encode }}", "Ada+%26+S%C3%B6hne"),
        ("a{{ unset }}b{{ un.set[0] }}c{{ now }}{{ today }}{{ size }}", "abc"),
        ("{{ unset | url_encode }}{{ unset | number_to_human }}{{ unset | unfancy }}", ""),
        ("{{ unset | default: 'x' }}{{ lives | default: 'x' }}", "x5"),
        ("{{ coins | unfancy }} {{ '1,300,144.50' | unfancy }}", "300144 1300144.50"),
        ("{{ 'a, b' | unfancy }} {{ '1,2' | unfancy }}", "a, b 1,2"),
        ("{{ coins | plus: 1 }} {{ price | times: 2 }} {{ 7 | divided_by: 2 }}", "300145 2.2 3"),
        ("{% if coins > 100 %}rich{% else %}poor{% endif %}", "rich"),
        ("{% case lives %}{% when 5 %}five{% endcase %}", "five"),
        ("{% assign x = name | split: ' ' | first %}{{ x }}", "Ada"),
        ("{{ name | slice: -5, 3 }}{{ name | slice: 0 }}{{ name | slice: -50 }}", "SöhA"),
        ("{{ name | replace: ' ', '_' }}", "Ada_&_Söhne"),
        ("{% raw %}{{ coins }}{% endraw %}", "{{ coins }}"),
        ("no template at all", "no template at all"),
    ],
)
def test_properties_are_filled_in(template: str, link: str) -> None:
    assert render(template, PROPERTIES) == link


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "0"), ("5", "5"), ("-5", "-5"), ("0.5", "0.5"), ("123", "123"), ("999", "999"),
        ("1234", "1.23 Thousand"), ("999.9", "1 Thousand"), ("1000", "1 Thousand"),
        ("12345", "12.3 Thousand"), ("489939", "490 Thousand"), ("999999", "1 Million"),
        ("-1234567", "-1.23 Million"), ("1,234,567", "1.23 Million"),
        ("1234567890", "1.23 Billion"), ("1234567890123", "1.23 Trillion"),
        ("1234567890123456", "1.23 Quadrillion"), ("1234567890123456789", "1230 Quadrillion"),
        ("many", "many"), ("NaN", "NaN"), ("Infinity", "Infinity"), ("", ""),
    ],
)  # fmt: skip
def test_numbers_in_words(number: str, words: str) -> None:
    assert render("{{ n | number_to_human }}", {"n": number}) == words


def test_numbers_in_words_may_have_more_and_fewer_digits() -> None:
    template = "{{ n | number_to_human: 1 }}, {{ n | number_to_human: 5 }}"
    assert render(template, {"n": Decimal(489_939)}) == "500 Thousand, 489.94 Thousand"
    assert render("{{ n | number_to_human: 0 }}", {"n": 1_234}) == "1 Thousand"
    assert render("{{ n | number_to_human: 999999999 }}", {"n": 1_234}) == "1.234 Thousand"


@pytest.mark.parametrize(
    "template",
    [
        "{{", "{{ }", "{{ a | }}", "{{ a | nothing }}", "{% if %}", "{% if a %}", "{% endif %}",
        "{%", "{% nothing %}", "{{ coins | divided_by: 0 }}", "{{ name | slice: 'a' }}",
        "{{ coins | number_to_human: 'a' }}", "{{ coins | plus }}",
        "{% for i in (1..1000000000) %}{% for j in (1..1000000000) %}x{% endfor %}{% endfor %}",
        "{% tablerow i in (1..1000000000) %}x{% endtablerow %}", "{% cycle 'a', 'b' %}",
        "{% include 'config' %}", "{% render 'config' %}", "{% liquid echo 1 %}",
        "{{ 'now' | date: '%Y' }}", "{{ long | split: '' | join: long }}", "{{ long | sort }}",
        "{{ long | append: 'x' }}", "{{ long }}x", "{{ wide }}",
        "{{ long | replace: 'x', 'xx' }}",
        "{{ long | replace: '', long | replace: '', long }}", "{{ '&' | append: long | escape }}",
        "{% assign a = long %}" + "{% assign a = a | append: a %}" * 50,
        "{% capture a %}xx{% endcapture %}" + "{% capture a %}{{a}}{{a}}{% endcapture %}" * 45,
        "{% assign a = 99999999 %}" + "{% assign a = a | times: a %}" * 60,
        "{{ 1 | times: " + "9" * 2_000 + " }}", "{{ '" + "9" * 2_000 + "' | plus: 1 }}",
        "{% if a %}" * 11 + "{% endif %}" * 11, "{{" * 1_000, "{{ " * 680, "{%" * 1_000,
        "{{" + " " * 2_000 + "}}", "{{ a" + " " * 32 + "}}", "{% raw %}" * 220,
        "{{ a" + "[" * 900 + "}}",
        "{{ a }}" + " " * MAX_LINK_LENGTH, "{{ a }}{{", "{{ a | truncate: 'x' }}",
    ],
)  # fmt: skip
def test_a_broken_or_greedy_template_is_the_link_as_it_is(template: str) -> None:
    assert render(template, PROPERTIES) == template


def test_ranges_are_never_written_out() -> None:
    for use in ("", "| size", "| first", "| last", "| slice: 0, 1000000000", "| append: 'x'"):
        assert len(render(f"{{{{ (1..1000000000) {use} }}}}", {})) < 100


def test_what_python_objects_have_is_out_of_reach() -> None:
    template = "{{ name.__class__ }}{{ name['__class__'] }}{{ coins.real }}{{ name.upper }}"
    assert render(template, PROPERTIES) == ""


@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", " if ", " endif ", "assign a =", "|", "'", '"', "name",
             "coins", "append:", "times:", "slice:", "9", "-1", "(1..9)", ".", "[", "]", ",", "<",
             "raw", "long", "replace:", "number_to_human:", "split:", "{{name}}",
             "{% if name %}", "{% endif %}"]
        ),
        max_size=16,
    ).map("".join)
)  # fmt: skip
def test_no_template_raises_or_grows_beyond_the_bound(template: str) -> None:
    rendered = render(template, PROPERTIES)
    assert rendered == template or len(rendered.encode()) <= MAX_TEXT_LENGTH


def test_a_template_has_a_length_that_is_checked_before_it_is_used() -> None:
    assert is_template("{{a}}" + "x" * (MAX_LINK_LENGTH - 5))
    assert not is_template("{{a}}" + "x" * (MAX_LINK_LENGTH - 4))
    assert not is_template("{% for x in y %}{% endfor %}")
