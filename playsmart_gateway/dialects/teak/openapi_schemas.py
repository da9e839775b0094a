"""The schemas of Teak's requests and replies: the parameters as the dialect reads them."""

import json
from collections.abc import Mapping
from typing import Any

from playsmart_gateway.dialects.teak.analytics import MAX_EVENTS, EventParameters
from playsmart_gateway.dialects.teak.identify import IdentifyParameters
from playsmart_gateway.dialects.teak.numbering import NumberingParameters
from playsmart_gateway.dialects.teak.parameters import COUNTRY, PRESENT
from playsmart_gateway.dialects.teak.properties import PropertyParameters
from playsmart_gateway.openapi.schema import Schema, described, ref, schemas_of

APP, SECRET_KEY = "your_teak_app_id", "your_server_secret"
_CREDENTIALS = {"game_id": APP, "secret_key": SECRET_KEY}

_LEVEL_UP = {
    "user_id": "player_123",
    "action_type": "level_up",
    "object_type": "character",
    "object_instance_id": "warrior",
    "event_count": 1,
}
_SPIN = {
    "user_id": "player_456",
    "action_type": "spin",
    "object_type": "Mr. Bling Bling's Slots",
    "object_instance_id": "bet_5000",
    "event_count": 10,
    "value": 50000,
    "sum_of_squares": 250000000,
    "country_code": "US",
}
_SESSION = {
    "user_id": "player_123",
    "timezone_id": "America/Los_Angeles",
    "client_ip": "203.0.113.42",
    "email": "player@example.com",
    "deep_link": "teak12345:///reward?level={{player_level}}",
}

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "IdentifyRequest": ("a session", {**_CREDENTIALS, **_SESSION}),
    "AnalyticsEventRequest": ("a level", {**_CREDENTIALS, **_LEVEL_UP}),
    "AnalyticsBatchRequest": ("two players", {**_CREDENTIALS, "events": [_LEVEL_UP, _SPIN]}),
    "PropertiesRequest": (
        "a level",
        {**_CREDENTIALS, "user_id": "player_123", "properties": {"player_level": "elite"}},
    ),
}
"""The example of each request, and what it shows."""

_EVENT_FIELDS = {
    "user_id": "The game's own id of a player that identify has seen.",
    "action_type": "What happened, such as `level_up` or `purchase`.",
    "object_type": "What it happened to, such as `character` or `item`.",
    "object_instance_id": "Which one, such as `warrior` or `sword`.",
    "event_count": "How many times it happened; 1 unless sent.",
    "value": "Any number, added up over all occurrences; 1 unless sent. Kept digit for digit.",
    "sum_of_squares": "The squares of the values added up, for the variance; 1 unless sent.",
    "client_ip": "The player's address. Becomes a country and beats `country_code`.",
    "country_code": "ISO 3166-1 alpha-2, in either case. Not looked at beside a `client_ip`.",
}
_NUMBERING_FIELDS = {
    "run": "Names one process life of the sender, and comes before an `Idempotency-Key`: a UUID in "
    "lower case, best a UUIDv7.",
    "seq": "The number of the first event in its run, 0 if it is not given; the others follow. A "
    "number of a run is stored once, so a repeat is harmless.",
    "client": "Which program sends, in words of its own, kept once a run.",
}
_IDENTIFY_FIELDS = {
    "user_id": "The game's own id of the player.",
    "client_ip": "The player's address; send `127.0.0.1` when neither is known. One that cannot "
    "be read or looked up is an unknown country, not an error.",
    "country_code": "ISO 3166-1 alpha-2, in either case; for when the address is unknown. "
    "Not looked at beside a `client_ip`.",
    "timezone_id": "IANA name; UTC unless sent.",
    "email": "Kept for the player, unless excluded; has to have an `@`.",
    "deep_link": "A link to work out and return: a Liquid template if it begins with `teak` or is "
    "on a link domain, else returned unchanged.",
}
_PROPERTY_FIELDS = {
    "user_id": "The game's own id of a player that identify has seen.",
    "properties": "Values by name: strings up to 16,384 characters, or numbers, as configured. "
    "Names that are not configured are reported, and the others set.",
}
_HAS_ADDRESS: Schema = {"required": ["client_ip"], "properties": {"client_ip": PRESENT}}
_MAY_HAVE_COUNTRY: Schema = {"anyOf": [_HAS_ADDRESS, {"properties": {"country_code": COUNTRY}}]}
_HAS_LOCATION: Schema = {
    "anyOf": [
        _HAS_ADDRESS,
        {
            "required": ["country_code"],
            "properties": {"country_code": {"enum": [code for code in COUNTRY["enum"] if code]}},
        },
    ]
}


def _request(schema: Schema, required: list[str]) -> Schema:
    """Add the credentials, and say what must be there."""
    credentials = {
        "game_id": {"type": "string", "description": "The Teak App ID."},
        "secret_key": {"type": "string", "description": "The Server Secret of the app."},
    }
    return {
        **schema,
        "properties": {**credentials, **schema["properties"]},
        "required": [*credentials, *required],
    }


def as_texts(example: Mapping[str, Any]) -> dict[str, str]:
    """Return an example as the fields of a form."""
    return {
        name: json.dumps(value) if isinstance(value, dict | list) else str(value)
        for name, value in example.items()
    }


def _as_form(schema: Schema, example: Mapping[str, Any]) -> Schema:
    """Return what a form can say of ``schema``: everything is a text.

    Swagger UI fills in forms by the examples of the fields.
    """
    texts = as_texts(example)
    properties = {
        name: {**_as_text(field), "examples": [texts.get(name, "")]}
        for name, field in schema["properties"].items()
    }
    return {**schema, "title": schema["title"] + "Form", "properties": properties}


def _as_text(field: Schema) -> Schema:
    if "enum" in field:
        return {**field, "enum": [each for each in field["enum"] if each is not None]}
    if "anyOf" in field:
        texts = [_as_text(each) for each in field["anyOf"] if _can_be_text(each)]
        return {**field, "anyOf": texts}
    if _can_be_text(field):
        return {**field, "type": "string"}
    return {
        "type": "string",
        "minLength": 2,
        "description": "As JSON in one field, or spread over fields named `events[0][user_id]`, "
        "`client[name]` and `properties[player_level]`.",
    }


def _can_be_text(field: Schema) -> bool:
    return "string" in field.get("type", "string")


def schemas() -> dict[str, Schema]:
    """Return all of them by name; each request also as a form."""
    found = schemas_of(EventParameters, NumberingParameters, IdentifyParameters, PropertyParameters)
    event = described(found["EventParameters"], _EVENT_FIELDS)
    event = {
        **event,
        **_MAY_HAVE_COUNTRY,
        "title": "AnalyticsEvent",
        "required": ["user_id", "action_type"],
    }
    numbering = described(found["NumberingParameters"], _NUMBERING_FIELDS)
    batch = {
        "title": "AnalyticsBatch",
        "type": "object",
        "properties": {
            "events": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_EVENTS,
                "items": ref("AnalyticsEvent"),
            },
            **numbering["properties"],
        },
    }
    identify = described(found["IdentifyParameters"], _IDENTIFY_FIELDS)
    properties = described(found["PropertyParameters"], _PROPERTY_FIELDS)
    requests = {
        "AnalyticsEventRequest": _request(event, ["user_id", "action_type"]),
        "AnalyticsBatchRequest": _request(batch, ["events"]),
        "IdentifyRequest": _request({**identify, **_HAS_LOCATION}, ["user_id"]),
        "PropertiesRequest": _request(properties, ["user_id", "properties"]),
    }
    for name, schema in requests.items():
        schema["title"] = name
    forms = {
        f"{name}Form": _as_form(schema, EXAMPLES[name][1]) for name, schema in requests.items()
    }
    return {"AnalyticsEvent": event, **requests, **forms, **_REPLIES}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


_ERRORS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
}
_STATE = _object(["state"], state={"enum": ["opt_in", "opt_out"]})
_COUNT: Schema = {"type": "integer", "minimum": 0}
_REPLIES: dict[str, Schema] = {
    "TeakOk": _object(["status"], status={"const": "ok"}),
    "TeakErrors": {
        "description": "What is wrong, by parameter.",
        **_object(["status", "errors"], status={"enum": ["error", "rate_limit"]}, errors=_ERRORS),
    },
    "TeakUnknownGame": _object(
        ["error"],
        error=_object(["code", "message"], code={"const": 404}, message={"type": "string"}),
    ),
    "TeakResults": _object(
        ["status", "results", "summary"],
        status={"const": "ok"},
        results={
            "type": "array",
            "description": "One for each event, in the order of the request.",
            "items": _object(
                ["status", "user_id"],
                status={"enum": ["ok", "error"]},
                user_id={"type": ["string", "null"]},
                errors=_ERRORS,
            ),
        },
        summary=_object(
            ["total_events", "successful_events", "failed_events"],
            total_events=_COUNT,
            successful_events=_COUNT,
            failed_events=_COUNT,
        ),
    ),
    "TeakSession": _object(
        ["country_code", "session_id", "opt_out_states"],
        country_code={"type": "string", "description": "Empty when it is unknown."},
        session_id={"type": "string"},
        opt_out_states=_object(["email", "push", "sms"], email=_STATE, push=_STATE, sms=_STATE),
        deep_link={"type": "string", "description": "Only when one was sent."},
    ),
    "TeakProperties": _object(
        ["status", "new_properties", "old_properties", "unknown_properties"],
        status={"const": "ok"},
        new_properties={"type": "object"},
        old_properties={"type": "object"},
        unknown_properties={"type": "array", "items": {"type": "string"}},
    ),
}
