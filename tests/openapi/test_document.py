"""The document: valid, whole, and true of the running gateway."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from starlette.routing import Route

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Accounts, Auth, Config, Journal
from playsmart_gateway.dialects import ALL
from playsmart_gateway.dialects.lynes.openapi_schemas import (
    REQUESTS,
)
from playsmart_gateway.dialects.lynes.request import decode as decode_lynes
from playsmart_gateway.dialects.playsmart.accounts import DEVICE
from playsmart_gateway.dialects.playsmart.openapi import (
    PLAYER,
    UPLOADS,
)
from playsmart_gateway.dialects.playsmart.request import decode
from playsmart_gateway.dialects.teak.openapi import FORM
from playsmart_gateway.dialects.teak.openapi_schemas import (
    APP,
    SECRET_KEY,
)
from playsmart_gateway.errors import Malformed
from playsmart_gateway.http.error_body import CODES
from playsmart_gateway.openapi import operations
from playsmart_gateway.openapi.document import document
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.process import SECRET, RunningGateway, StartGateway

PIECES = [piece for dialect in ALL for piece in dialect.pieces()]
DOCUMENT = json.loads(json.dumps(document(PIECES)))
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:document", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
)
ORIGIN = "https://game.example.com"
KEYWORDS = {FORM: "data", "application/json": "json", "text/plain": "content"}
"""By which name httpx takes a body."""

TEAK_APP = (
    f'[{{id = "{APP}", secret_key = "{SECRET_KEY}", properties = {{player_level = "string"}}}}]'
)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    schema = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    return Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker())


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for key in node["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    assert isinstance(found, dict)
    return found


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type of every body in the document, with its place."""
    answers = {
        f"components {name}": each for name, each in DOCUMENT["components"]["responses"].items()
    }
    for (method, path), operation in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            answers[f"{method} {path} {status}"] = answer
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} {media_type}", body
    for place, answer in answers.items():
        for media_type, body in answer.get("content", {}).items():
            yield f"{place} {media_type}", body


def conforms(operation: tuple[str, str], answer: httpx.Response) -> None:
    """Fail unless the document tells of this answer: status, headers, media type, body."""
    told = OPERATIONS[operation]["responses"].get(str(answer.status_code))
    assert told, f"{operation} has no {answer.status_code}"
    for name, header in told["headers"].items():
        if resolved(header).get("required"):
            assert name in answer.headers
    if "content" in told:
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = told["content"][media_type]["schema"]
        body = answer.json() if media_type == "application/json" else answer.text
        validator(schema).validate(body)


# --- wrong input is wrong in the schema, too -----------------------------------------------------

GOOD = UPLOADS["a batch of three"]
BAD_UPLOADS: dict[str, Any] = {
    "a timestamp without offset": {"timestamp": "2024-01-15T12:00:00"},
    "a timestamp that is a number": {"timestamp": 1_705_320_000},
    "a type that is unknown": {"type": "LevelStarted"},
    "customdata that is null": {"customdata": None},
    "customdata that is an array": {"customdata": []},
    "a Custom event without name": {"type": "Custom"},
    "an empty name": {"type": "Custom", "customEventName": ""},
    "a name with NUL": {"type": "Custom", "customEventName": "a\0b"},
}


@pytest.mark.parametrize("wrong", BAD_UPLOADS.values(), ids=list(BAD_UPLOADS))
def test_what_the_dialect_refuses_in_an_event_the_schema_refuses(wrong: dict[str, Any]) -> None:
    event = {"type": "AppOpen", "timestamp": "2026-04-22T14:30:00+00:00", **wrong}
    refused_by_both({**GOOD, "events": [event]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": ""},
        {"user_id": "x" * 257},
        {"game_id": "a\0b"},
        {"events": []},
        {"events": [GOOD["events"][0]] * 201},
        {"events": None},
    ],
    ids=["no id", "a long id", "an id with NUL", "no events", "201 events", "null for events"],
)
def test_what_the_dialect_refuses_in_an_upload_the_schema_refuses(wrong: dict[str, Any]) -> None:
    refused_by_both({**GOOD, **wrong})


def refused_by_both(upload: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(json.dumps(upload).encode())
    assert not validator({"$ref": "#/components/schemas/Upload"}).is_valid(upload)


BAD_EVENTS: dict[str, Any] = {
    "no user": {"userId": None},
    "a long id": {"eventId": "x" * 257},
    "an id with NUL": {"userId": "a\0b"},
    "11 fields": {"metadata": {str(each): each for each in range(11)}},
    "null for metadata": {"metadata": None},
    "an empty name": {"metadata": {"": 1}},
    "an object in metadata": {"metadata": {"a": {}}},
    "a long text": {"metadata": {"a": "x" * 1_025}},
    "a number among texts": {"metadata": {"a": ["x", 1]}},
    "a NUL among texts": {"metadata": {"a": ["x", "a\0b"]}},
    "101 texts": {"metadata": {"a": ["x"] * 101}},
}


@pytest.mark.parametrize("wrong", BAD_EVENTS.values(), ids=list(BAD_EVENTS))
def test_what_lynes_refuses_in_an_event_the_schema_refuses(wrong: dict[str, Any]) -> None:
    event = {**REQUESTS["a login"], **wrong}
    with pytest.raises(Malformed):
        decode_lynes(json.dumps(event).encode())
    assert not validator({"$ref": "#/components/schemas/LynesEvent"}).is_valid(event)


# --- the document itself -------------------------------------------------------------------------


def test_the_document_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_teaches_and_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    assert tags == [piece.tag for piece in (*PIECES, operations.PIECE)]
    for operation in OPERATIONS.values():
        assert operation["summary"]
        assert len(operation["description"]) > 20
        assert set(operation["tags"]) <= set(tags)
        for parameter in operation.get("parameters", ()):
            assert parameter["description"]


def test_every_answer_has_a_request_id_and_each_refusal_its_headers() -> None:
    for operation in OPERATIONS.values():
        for status, answer in operation["responses"].items():
            wanted = {"X-Request-ID"}
            wanted |= {"401": {"WWW-Authenticate"}, "405": {"Allow"}}.get(status, set())
            wanted |= {"Retry-After"} if status in ("429", "503") else set()
            assert wanted <= set(answer["headers"])


def test_every_error_code_is_documented_with_an_example() -> None:
    error = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]
    assert set(error["properties"]["code"]["enum"]) == set(CODES.values())
    shown = {
        example["value"]["error"]["code"]
        for _, body in bodies()
        for example in body.get("examples", {}).values()
        if isinstance(example["value"].get("error"), dict)
    }
    assert shown >= set(CODES.values())


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)):
        assert resolved({"$ref": reference})


@pytest.mark.parametrize("place", [place for place, _ in bodies()])
def test_examples_are_what_their_schema_says(place: str) -> None:
    body = dict(bodies())[place]
    for example in body.get("examples", {}).values():
        validator(body["schema"]).validate(example["value"])


def test_nothing_in_it_is_a_remark_for_ourselves() -> None:
    assert "contract" not in json.dumps(DOCUMENT["components"]["schemas"])


# --- the house -----------------------------------------------------------------------------------


def test_every_route_is_in_the_document_and_every_path_of_it_exists() -> None:
    auth, accounts = Auth(secret=SECRET), Accounts(enabled=True)
    config = Config(auth=auth, accounts=accounts, journal=Journal(enabled=False))
    app = create_app(config, sink=MemorySink())
    documented = {
        (method, server["url"].rstrip("/") + path)
        for (method, path), operation in OPERATIONS.items()
        for server in operation.get("servers", DOCUMENT["servers"])
    }
    there = {("POST", path) for path in app.frame._endpoints}
    for route in app.routes:
        assert isinstance(route, Route)
        if route.include_in_schema:
            path = re.sub(r":\w+}", "}", route.path)
            there |= {(method, path) for method in route.methods or () if method != "HEAD"}
    assert there == documented


# --- the running gateway -------------------------------------------------------------------------


def test_answers_to_what_is_wrong_are_in_the_document(gateway: RunningGateway) -> None:
    token = {"authorization": f"Bearer {gateway.token(PLAYER)}"}
    plain = {"content-type": "text/plain"}
    for (method, path), operation in OPERATIONS.items():
        url = re.sub("{[^}]+}", quote("another player"), path)
        attempts = [{"headers": plain, "content": b"{}"}, {"headers": token, "content": b"{}"}]
        attempts += [{"content": b" " * 1_048_577}, {"headers": {"x": "y" * 40_000}}]
        seen = {"404"} if "/v2/" in path else set()
        for attempt in attempts if method == "POST" else [{}, {"headers": token}]:
            answer = gateway.client.request(method, url, **attempt)
            conforms((method, path), answer)
            seen.add(str(answer.status_code))
        assert seen <= set(operation["responses"])
    bad = gateway.client.get(f"/v1/players/{PLAYER}/transactions?limit=0", headers=token)
    assert bad.status_code == 400
    conforms(("GET", "/v1/players/{user_id}/transactions"), bad)


def test_refusals_of_teak_are_in_the_document(start_gateway: StartGateway) -> None:
    limits = "{analytics_events = 2, batch = 2, identify = 2, player_properties = 2}"
    gateway = start_gateway(TEAK__APPS=TEAK_APP, TEAK__LIMITS=limits)
    app = {"game_id": APP, "secret_key": SECRET_KEY}
    for method, path in OPERATIONS:
        seen: set[int] = set()
        bodies: list[object] = [{}, {**app, "secret_key": "guessed"}, [], *[app] * 1_000]
        while path.startswith("/v2/") and not seen >= {400, 403, 404, 429}:
            answer = gateway.client.request(method, path, json=bodies.pop(0))
            conforms((method, path), answer)
            seen.add(answer.status_code)


def test_other_methods_and_paths_answer_as_the_components_say(gateway: RunningGateway) -> None:
    for name, answer in (
        ("NotFound", gateway.client.get("/nowhere")),
        ("MethodNotAllowed", gateway.client.delete("/ingest/events")),
        ("MethodNotAllowed", gateway.client.delete("/docs")),
    ):
        told = DOCUMENT["components"]["responses"][name]
        validator(told["content"]["application/json"]["schema"]).validate(answer.json())
        assert set(map(str.lower, told["headers"])) <= set(answer.headers)
        assert answer.json()["error"]["code"] == CODES[answer.status_code]


def test_the_examples_are_accepted_as_they_are(start_gateway: StartGateway) -> None:
    gateway = start_gateway("--dev", secret=None, CORS__ORIGINS=f'["{ORIGIN}"]')
    session = gateway.client.post(DEVICE, json={}).json()["data"]
    gateway.secret = (gateway.folder / "data" / "dev-secret").read_text("utf-8").strip()
    token = gateway.token(PLAYER)
    credentials = {"authorization": f"Bearer {token}"}
    sent = 0
    for (method, path), operation in sorted(
        OPERATIONS.items(), key=lambda each: each[0][1] != "/v2/identify"
    ):
        body = operation.get("requestBody", {}).get("content", {})
        requests: list[dict[str, Any]] = [
            {KEYWORDS[media_type]: example["value"]}
            for media_type, each in body.items()
            for example in each["examples"].values()
        ]
        if FORM in body:  # what a page fills in, field by field
            fields = resolved(body[FORM]["schema"])["properties"]
            requests.append({"data": {name: each["examples"][0] for name, each in fields.items()}})
        for request in requests or [{}]:
            url, query = path, {}
            for each in operation.get("parameters", ()):
                if each["in"] == "path":
                    url = url.replace(f"{{{each['name']}}}", each["example"])
                elif each.get("required"):
                    query[each["name"]] = each["example"]
            if "refresh_token" in (request.get("json") or {}):  # no other is good
                request["json"] = {"refresh_token": session["refresh_token"]}
            headers = credentials if "security" in operation else {}
            if "content" in request:  # a beacon
                request["content"] = json.dumps(request["content"] | {"access_token": token})
                headers = {"content-type": "text/plain", "origin": ORIGIN}
            answer = gateway.client.request(method, url, headers=headers, params=query, **request)
            assert answer.is_success, answer.text
            conforms((method, path), answer)
            sent += 1
    assert sent >= len(OPERATIONS)


def test_the_document_is_served_with_a_strong_tag(gateway: RunningGateway) -> None:
    first = gateway.client.get("/openapi.json")
    assert first.json() == DOCUMENT
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    for known in (tag, f'W/"other", W/{tag}', "*"):
        again = gateway.client.get("/openapi.json", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        conforms(("GET", "/openapi.json"), again)
    changed = gateway.client.get("/openapi.json", headers={"if-none-match": '"other"'})
    assert changed.status_code == 200
    head = gateway.client.head("/openapi.json")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
