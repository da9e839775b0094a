"""Accounts in the document."""

from typing import Any

from playsmart_gateway.auth.compact import MAX_TOKEN_BYTES
from playsmart_gateway.dialects.playsmart.accounts import (
    DEVICE,
    KNOWN_DEVICE,
    KNOWN_EMAIL,
    LOGIN,
    MAX_DEVICE_ID_LENGTH,
    MAX_EMAIL_LENGTH,
    MAX_PASSWORD_LENGTH,
    MIN_PASSWORD_LENGTH,
    REFRESH,
    REGISTER,
    WRONG,
)
from playsmart_gateway.errors import Detail
from playsmart_gateway.openapi.parts import (
    JSON,
    Answers,
    Piece,
    answer,
    body,
    content,
    operation,
    refusal,
)
from playsmart_gateway.openapi.schema import Schema, ref

_EMAIL: Schema = {
    "type": "string",
    "maxLength": MAX_EMAIL_LENGTH,
    "pattern": r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]+$",
    "description": "Names one account, whatever its capitals.",
}
_PASSWORD: Schema = {
    "type": "string",
    "minLength": MIN_PASSWORD_LENGTH,
    "maxLength": MAX_PASSWORD_LENGTH,
    "format": "password",
}
_DEVICE_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_DEVICE_ID_LENGTH,
    "not": {"pattern": r"[\u0000-\u001f\u007f-\u009f]"},
    "description": "The `user_id` of the player's events. Nobody else may have it.",
}
_TOKEN: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TOKEN_BYTES}


def _object(title: str, description: str, properties: dict[str, Schema]) -> Schema:
    return {
        "title": title,
        "description": description,
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


_SCHEMAS: dict[str, Schema] = {
    "Registration": _object(
        "Registration",
        "A new account.",
        {"email": _EMAIL, "password": _PASSWORD, "deviceId": _DEVICE_ID},
    ),
    "Credentials": {
        **_object("Credentials", "Who logs in.", {"email": _EMAIL, "password": _PASSWORD}),
        "not": {"required": ["refresh_token"]},
    },
    "RefreshToken": _object(
        "RefreshToken", "What was answered with the access token.", {"refresh_token": _TOKEN}
    ),
    "Session": _object(
        "Session",
        "Tokens of a player.",
        {
            "data": {
                "type": "object",
                "required": ["access_token", "refresh_token", "user"],
                "properties": {
                    "access_token": {"type": "string", "description": "Good for 30 days."},
                    "refresh_token": {"type": "string", "description": "Good for 180 days."},
                    "user": ref("Account"),
                },
            }
        },
    ),
    "Account": _object(
        "Account",
        "The player.",
        {
            "id": {"type": "string", "description": "The `user_id` of the player's events."},
            "email": {"type": "string", "description": "Empty for a player who has none."},
            "pseudo": {"const": "", "description": "Not known here."},
            "total_games_completed": {
                "type": "integer",
                "minimum": 0,
                "description": "How many `GameEnd` events there were.",
            },
        },
    ),
}

_REGISTRATION = {
    "email": "ada@example.org",
    "password": "correct horse",
    "deviceId": "device-ada-1",
}
_CREDENTIALS = {"email": "ada@example.org", "password": "correct horse"}
_SENT_TOKEN = {"refresh_token": "eyJhbGciOiJIUzI1NiJ9..."}


def _session(user_id: str, email: str) -> dict[str, Any]:
    user = {"id": user_id, "email": email, "pseudo": "", "total_games_completed": 0}
    tokens = {"access_token": "eyJhbGciOiJIUzI1NiJ9...", **_SENT_TOKEN}
    return {"data": {**tokens, "user": user}}


_ADA = _session("device-ada-1", "ada@example.org")
_NAMELESS = _session("1f0d7a52-6a3f-4c0e-9f0b-0e6a4b1f2c3d", "")


def _refused(*details: Detail, **more: Any) -> Answers:
    return {
        **refusal(400, "`details` has every wrong field.", "invalid_payload", details=details),
        **refusal(404, "Accounts are off (`accounts.enabled`).", "not_found"),
        **refusal(413, "The body is over 16 KiB.", "body_too_large"),
        **refusal(
            415,
            "The body is not JSON, or compressed by something else than gzip.",
            "unsupported_media_type",
            "unsupported_content_encoding",
        ),
        **refusal(
            429, "Too many requests of one address, or tries of one account.", "rate_limited"
        ),
        **refusal(
            503,
            "Nothing was done; try again.",
            "store_unavailable",
            "too_many_passwords",
            "too_many_bodies",
            "too_many_connections",
        ),
        **more,
    }


_NOT_BELIEVED = ("invalid_token", "token_expired", "token_not_yet_valid")


def _post(
    name: str, summary: str, text: str, sent: dict[str, Any], answers: Answers
) -> dict[str, Any]:
    return {"post": operation(name, summary, text, answers, requestBody=body({JSON: sent}))}


PIECE = Piece(
    "Accounts",
    "Where the gateway issues tokens itself: off unless it is configured, on in development mode.",
    {
        REGISTER: _post(
            "register",
            "Make an account",
            "The `deviceId` becomes the `user_id` of the player's events, so it is refused if "
            "somebody has an account, events, coins or points by it. Unknown keys are ignored.",
            content(ref("Registration"), {"a player": _REGISTRATION}),
            {
                "201": answer("Made.", ref("Session"), {"a player": _ADA}),
                **_refused(Detail("password", "is required")),
                **refusal(409, "It is somebody's already.", KNOWN_EMAIL, KNOWN_DEVICE),
            },
        ),
        LOGIN: _post(
            "login",
            "Log in",
            "By password, or by a refresh token in its place. An unknown e-mail is refused as a "
            "wrong password is.",
            content(
                {"anyOf": [ref("Credentials"), ref("RefreshToken")]},
                {"by password": _CREDENTIALS, "by refresh token": _SENT_TOKEN},
            ),
            {
                "200": answer("Logged in.", ref("Session"), {"a player": _ADA}),
                **_refused(Detail("email", "is required")),
                **refusal(401, "Nobody is known by that.", WRONG, *_NOT_BELIEVED),
            },
        ),
        REFRESH: _post(
            "refresh",
            "Get new tokens",
            "The older refresh token stays good until it expires, so a lost answer does no harm.",
            content(ref("RefreshToken"), {"a token": _SENT_TOKEN}),
            {
                "200": answer("New tokens.", ref("Session"), {"a player": _ADA}),
                **_refused(Detail("refresh_token", "is required")),
                **refusal(401, "The token is not good, or was revoked.", *_NOT_BELIEVED),
            },
        ),
        DEVICE: _post(
            "registerDevice",
            "Make a player without an e-mail",
            "The id is made here. Who loses the refresh token loses the player.",
            content({"type": "object"}, {"nothing": {}}),
            {
                "201": answer("Made.", ref("Session"), {"a player": _NAMELESS}),
                **_refused(Detail("", "must be a JSON object")),
            },
        ),
    },
    _SCHEMAS,
)
