"""Which names are those of secrets, and which are what a game counts."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.console.inspector.redact import MASK, Redactor
from playsmart_gateway.console.inspector.secret_names import MAX_NAME_LENGTH, is_secret_name
from tests.support.examples import examples

SECRETS = (
    "token", "Token", "TOKEN", "access_token", "accessToken", "access-token", "ACCESS_TOKEN",
    "accesstoken", "refresh_token", "refreshToken", "id_token", "auth_token", "authToken",
    "push_token", "device_token", "fcm_token", "session_token", "csrf_token", "csrfToken",
    "bearer_token", "player_token", "user.token", "token2", "my_token", "old_token", "jwt",
    "secret", "client_secret", "clientSecret", "app_secret", "appSecret", "secret_key", "secretKey",
    "shared_secret", "webhook_secret", "api_secret", "teak_secret_key", "secrets",
    "password", "Password", "user_password", "userPassword", "new_password", "passwd", "pwd",
    "db_password", "passphrase", "passcode", "password_confirmation", "passwordHash",
    "authorization", "Authorization", "X-Forwarded-Authorization", "proxy_authorization",
    "api_key", "apiKey", "api-key", "API_KEY", "apikey", "X-Api-Key", "private_key", "privateKey",
    "access_key", "aws_access_key_id", "encryption_key", "signing_key", "auth_key",
    "cookie", "Cookie", "Set-Cookie", "session_cookie", "credential", "credentials",
    "email", "e-mail", "E-Mail", "emailAddress", "user_email", "email_address", "contact_email",
)  # fmt: skip
GAMES = (
    "token_count", "tokens", "tokenCount", "tokens_spent", "token_type", "tokenized", "gold_token",
    "tokens_per_level", "battle_token_shop", "has_token", "token_id_count",
    "level_secret", "levelSecret", "secret_level", "secretLevel", "secret_found", "secrets_found",
    "is_secret", "secret_room_id", "top_secret_mission", "secretary", "secret_santa",
    "cookies", "cookie_count", "cookieClicker", "cookie_jar_level", "cookie_upgrade",
    "password_strength", "password_length", "passwords_tried", "passenger", "passed",
    "key", "keys", "keys_found", "key_count", "monkey", "hockey_score", "level_key", "keyboard",
    "api", "api_version", "api_calls", "authority", "author", "authorized", "is_authorized",
    "email_opt_in", "email_verified", "emails_sent", "mail", "mailbox_size", "has_email",
    "credits", "credit", "bearer", "session_id", "sessionId", "player_id", "user_id", "device_id",
    "score", "level", "access_level", "refresh_rate", "client_version", "", "_", "ключ",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_name_that_says_secret_and_whose_it_is_is_that_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", GAMES)
def test_a_name_with_such_a_word_in_it_is_what_a_game_counts(name: str) -> None:
    assert not is_secret_name(name)


WHOSE = st.sampled_from(["access", "refresh", "client", "app", "player", "session", "push", "old"])
NOUN = st.sampled_from(["token", "secret", "password", "api key", "credential", "authorization"])
GAME = st.sampled_from(
    ["level", "count", "gold", "spent", "room", "found", "boss", "reward", "tier"]
)
JOINS = (
    "_".join,
    "-".join,
    ".".join,
    "".join,
    lambda words: "_".join(words).upper(),
    lambda words: words[0] + "".join(word.capitalize() for word in words[1:]),
)


@examples(200)
@given(st.lists(WHOSE, max_size=3), NOUN, st.sampled_from(JOINS))
def test_however_the_words_are_joined_it_is_a_secret(whose, noun, join) -> None:  # type: ignore[no-untyped-def]
    assert is_secret_name(join([*whose, *noun.split()]))


@examples(200)
@given(st.lists(WHOSE, max_size=2), NOUN, GAME, st.sampled_from(JOINS), st.booleans())
def test_however_the_words_are_joined_a_word_of_the_game_makes_it_none(  # type: ignore[no-untyped-def]
    whose, noun, game, join, first
) -> None:
    words = [*whose, *noun.split()]
    assert not is_secret_name(join([game, *words] if first else [*words, game]))


@examples(200)
@given(st.text(max_size=200))
def test_any_text_is_judged_and_a_long_one_is_no_name(name: str) -> None:
    if is_secret_name(name):
        assert len(re.sub(r"[\W_]+", "", name)) <= MAX_NAME_LENGTH


def test_a_name_of_nothing_but_such_words_is_judged_in_bounded_time() -> None:
    assert is_secret_name("apikey" * 10)
    assert not is_secret_name("apikey" * 10 + "q")
    assert not is_secret_name("token" * 1_000)


@pytest.mark.parametrize("name", ["token_count", "level_secret", "cookies", "secret_level"])
@pytest.mark.parametrize("value", [7, "open sesame"])
def test_what_a_game_counts_is_shown_in_json_in_forms_and_in_text(name: str, value: object) -> None:
    redactor = Redactor([])
    for text in (json.dumps({name: value}), f"{name}={value}", f"it said {name}: {value}"):
        assert redactor.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "level_secret: password=hunter2",
        "level_secret=token_count=password=hunter2",
        'cookies: {"password": "hunter2"',
        r'{"note": "first\npassword: hunter2',
        r'"level_secret": "{\"password\": \"hunter2\"}"',
        "password = hunter2, token_count = 7",
    ],
)
def test_a_secret_in_the_value_of_what_is_none_is_masked(text: str) -> None:
    shown = Redactor([]).text(text)
    assert "hunter2" not in shown
    assert MASK in shown
    assert ("token_count = 7" in shown) == ("token_count = 7" in text)
