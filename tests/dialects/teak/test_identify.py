"""The parameters of identify."""

import contextlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.body import FORM, open_body
from playsmart_gateway.dialects.teak.identify import Identify, decode_identify
from playsmart_gateway.dialects.teak.parameters import Errors, grouped
from playsmart_gateway.dialects.teak.replies import sound
from playsmart_gateway.errors import Malformed
from tests.support.examples import examples

EXAMPLE = {
    "game_id": "your_teak_app_id",
    "secret_key": "your_server_secret",
    "user_id": "player_123",
    "timezone_id": "America/Los_Angeles",
    "client_ip": "203.0.113.42",
    "email": "player@example.com",
    "deep_link": "teak12345:///reward?level={{player_level}}",
}
MINIMAL = {"user_id": "ada", "country_code": "US"}


def identify(**fields: object) -> Identify:
    return decode_identify(json.dumps(MINIMAL | fields).encode())


def errors(**fields: object) -> Errors:
    with pytest.raises(Malformed) as caught:
        identify(**fields)
    return grouped(caught.value.details)


def test_the_worked_example_is_read_alike_in_both_encodings() -> None:
    expected = Identify(
        "player_123", "203.0.113.42", "", "America/Los_Angeles", "player@example.com",
        "teak12345:///reward?level={{player_level}}",
    )  # fmt: skip
    assert decode_identify(json.dumps(EXAMPLE).encode()) == expected
    assert decode_identify(open_body(urlencode(EXAMPLE).encode(), FORM).fields()) == expected


def test_what_was_not_sent_is_empty_and_the_time_zone_utc() -> None:
    assert identify() == Identify("ada", "", "US", "UTC", "", "")


@pytest.mark.parametrize("blank", [None, "", " ", "\t\n"])
def test_blanks_were_not_sent(blank: str | None) -> None:
    assert identify(client_ip=blank, timezone_id=blank, email=blank, deep_link=blank) == identify()


def test_the_contract_s_error_body_comes_out_to_the_letter() -> None:
    with pytest.raises(Malformed) as caught:
        decode_identify(b'{"user_id":"ada","timezone_id":"Mars/Olympus_Mons"}')
    assert sound(caught.value).body == (
        b'{"status":"error","errors":{"timezone_id":["Mars/Olympus_Mons is not a recognized IANA '
        b'timezone name"],"location":["either client_ip or country_code must be provided"]}}'
    )


def test_everything_wrong_is_told_at_once() -> None:
    fields = {"user_id": "", "timezone_id": "Mars/Olympus_Mons", "client_ip": {}, "email": "ada",
              "country_code": "Mars", "deep_link": ["a"]}  # fmt: skip
    assert errors(**fields) == {
        "user_id": ["must be present"],
        "timezone_id": ["Mars/Olympus_Mons is not a recognized IANA timezone name"],
        "client_ip": ["must be a string"],
        "country_code": ["is not a recognized ISO country code"],
        "email": ["is not a valid email address"],
        "deep_link": ["must be a string"],
    }


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_location_must_be_given(blank: str | None) -> None:
    message = "either client_ip or country_code must be provided"
    assert errors(client_ip=blank, country_code=blank) == {"location": [message]}
    assert errors(user_id=None, country_code=blank) == {
        "user_id": ["must be present"],
        "location": [message],
    }


@pytest.mark.parametrize(
    ("client_ip", "country_code", "country"),
    [
        ("193.0.6.139", None, "NL"),
        ("193.0.6.139", "US", "NL"),
        ("193.0.6.139", "UK", "NL"),
        ("nowhere", "UK", ""),
        ("127.0.0.1", "US", ""),
        ("nowhere", None, ""),
        (None, "US", "US"),
        (None, "us", "us"),
        ("", "US", "US"),
    ],
)
def test_the_country_is_looked_up_or_echoed(
    client_ip: str | None, country_code: str | None, country: str
) -> None:
    assert identify(client_ip=client_ip, country_code=country_code).country == country


@pytest.mark.parametrize("wrong", ["ada", "a.example", "a at b.example", "\uff20"])
def test_what_has_no_at_sign_is_no_email_address(wrong: str) -> None:
    assert errors(email=wrong) == {"email": ["is not a valid email address"]}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("player@example.com", "player@example.com"),
        ("Ada.L+tag@EXAMPLE.com", "Ada.L+tag@example.com"),
        ("e\u0301@example.com", "\u00e9@example.com"),
        (" a@b.example\r\n", "a@b.example"),
        *(
            (unusual, unusual)
            for unusual in (
                "taro..yamada@docomo.ne.jp", "taro.@docomo.ne.jp", "dev@localhost", "a@qa.test",
                '"taro yamada"@example.jp', '"a@b"@c.example', "taro@example.jp.", "@", "a@",
                "a@@b.example", "a@[127.0.0.1]", "a@-b.com", "\u592a\u90ce@\u4f8b.jp",
                "a@" + "b." * 200 + "example",
            )
        ),
    ],
)  # fmt: skip
def test_an_email_address_is_kept_in_normal_form(sent: str, kept: str) -> None:
    assert identify(email=sent).email == kept


def test_texts_are_limited() -> None:
    longest = "teak1:///" + "x" * (2_048 - 9)
    assert identify(deep_link=longest).deep_link == longest
    assert errors(deep_link=longest + "x") == {"deep_link": ["must be at most 2048 characters"]}
    too_long = ["must be at most 256 characters"]
    assert errors(timezone_id="x" * 257, user_id="x" * 257) == {
        "user_id": too_long,
        "timezone_id": too_long,
    }
    assert errors(email="@" * 513) == {"email": ["must be at most 512 characters"]}
    assert errors(email="a\0@example.com") == {"email": ["must not contain NUL"]}


def test_what_nests_too_deep_to_read_has_no_parameters() -> None:
    with pytest.raises(Malformed) as caught:
        decode_identify(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert set(grouped(caught.value.details)) == {"user_id", "location"}


texts = st.none() | st.text(max_size=10) | st.integers() | st.lists(st.text(max_size=3))


@examples(300)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(EXAMPLE, texts)))
def test_any_parameters_are_read_or_refused(fields: dict[str, object]) -> None:
    with contextlib.suppress(Malformed):
        assert decode_identify(json.dumps(fields).encode()).user_id == str(fields["user_id"])
