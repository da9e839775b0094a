"""Whatever is sent: never a 500, and what was answered ok is what is stored."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from playsmart_gateway.app import create_app
from playsmart_gateway.dialects import load_config
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import data_of
from tests.support.examples import examples, share
from tests.support.in_process import in_process
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    ENVIRONMENT,
    EVENTS,
    FORM,
    IDENTIFY,
    NO_LIMITS,
    PATHS,
    PROPERTIES,
)

JSON = "application/json"
Request = tuple[str, str, bytes]
CONFIG = load_config(
    None,
    {
        **ENVIRONMENT,
        "PLAYSMART_JOURNAL__ENABLED": "false",
        "PLAYSMART_TEAK__LIMITS": NO_LIMITS,
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "3600",
    },
)

# --- bodies, as texts: no Python value can hold what we want to send -----------------------------

NAMES = [
    "user_id", "action_type", "object_type", "object_instance_id", "event_count", "value",
    "sum_of_squares", "client_ip", "country_code", "timezone_id", "email", "deep_link",
    "properties", "coins", "player_level", "session_id", "status",
]  # fmt: skip
NUMBERS = [
    "0", "-0", "-0.0", "1", "1.0", "1e0", "1e9999", "-1e9999", "1e-9999", "1e10000", "1e400",
    "1.7976931348623157e308", "5e-324", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "9007199254740993", "9" * 256, "9" * 257, "0." + "0" * 250 + "1",
    "01", "1.", ".5", "+1", "0x10", "NaN", "-Infinity", "1_000", "\u0661",
]  # fmt: skip
WORDS = [
    "", " ", "ada", "bob", "nobody", "Played", "Installed", "spin", "US", "us", "XX", "EU",
    "8.8.8.8", "::1", "999.1.1.1", "UTC", "Mars/Olympus_Mons", "a@b.de", "a@b@c", "@", "ü@ü.de",
    "xn--@xn--.xn--", "a@[1.2.3.4]", '"a b"@c.de', "teak1:///{{player_level}}/{{coins}}", "{{",
    "teak1:///{% assign x = coins | times: coins %}{{x}}", "teak1:///{{ 1 | divided_by: 0 }}",
    "https://go.example/shop", "http://[", "x" * 256, "x" * 257, "x" * 3_000, "\u2028", "😀",
]  # fmt: skip

texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
json_texts = st.one_of(
    texts.map(json.dumps),
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS).map(json.dumps),
    st.sampled_from(
        ["null", "true", "[]", "{}", '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"',
         '"\\', "[" * 50 + "]" * 50, '{"a":' * 40 + "1" + "}" * 40, "[" * 2_000, '"\t"', "'x'"]
    ),
)  # fmt: skip


def an_object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


events = st.builds(
    lambda user, action, more: an_object([("user_id", user), ("action_type", action), *more]),
    st.sampled_from(['"ada"', '"ada"', '"bob"', '"nobody"']),
    st.sampled_from(['"spin"', '"Played"', '"ü"']) | json_texts,
    st.lists(st.tuples(st.sampled_from(NAMES[2:9]), json_texts), max_size=2),
)
members = st.lists(st.tuples(st.sampled_from(NAMES), json_texts), max_size=5)
likely = st.sampled_from(
    [
        [("user_id", '"ada"'), ("action_type", '"spin"')],
        [("user_id", '"bob"'), ("country_code", '"de"')],
        [("user_id", '"ada"'), ("properties", '{"coins": 1e2, "player_level": "\\u00e9"}')],
        [],
    ]
)
event_lists = st.lists(events | json_texts, max_size=4).map(
    lambda each: [("events", f"[{','.join(each)}]")]
)
secrets = [(name, json.dumps(value)) for name, value in CREDENTIALS.items()]
objects = st.builds(
    lambda first, second: an_object([*secrets, *first, *second]),
    likely | event_lists,
    members | st.just([]),
).map(str.encode)

form_names = st.one_of(
    st.sampled_from(NAMES),
    st.builds(
        "{}{}".format,
        st.sampled_from(["events", "properties", "user_id", "", "events%5B0%5D"]),
        st.lists(
            st.sampled_from(["[]", "[0]", "[1]", "[user_id]", "[action_type]", "[value]", "[", "]",
                             "[coins]", "%5b%5d", "[[]]", "[99999999999999999999]"]),
            max_size=4,
        ).map("".join),
    ),
)  # fmt: skip
form_values = st.one_of(
    texts.map(quote_plus),
    st.sampled_from(NUMBERS).map(quote_plus),
    (events | json_texts).map(quote_plus),
    st.sampled_from(["%", "%4", "%zz", "%ff", "%00", "%ed%a0%80", "a=b", "=", "+", "%C3%A9"]),
)
forms = st.lists(st.tuples(form_names, form_values), max_size=7).map(
    lambda pairs: "&".join(
        [*(f"{name}={quote_plus(value)}" for name, value in CREDENTIALS.items())]
        + [f"{name}={value}" for name, value in pairs]
    ).encode()
)
paths = st.sampled_from(PATHS)
requests: st.SearchStrategy[Request] = st.one_of(
    st.tuples(paths, st.just(JSON), objects),
    st.tuples(st.just(BATCH), st.just(JSON), event_lists.map(
        lambda more: an_object([*secrets, *more]).encode())),
    st.tuples(paths, st.just(FORM), forms),
    st.tuples(paths, st.sampled_from([JSON, FORM]), st.binary(max_size=20)),
)  # fmt: skip


# --- what must hold ------------------------------------------------------------------------------


async def exchange(asked: list[Request]) -> list[Batch]:
    """Send requests to a gateway that knows ``ada``; return what it has stored, all checked."""
    sink = MemorySink()
    app = create_app(CONFIG, sink=sink)
    async with in_process(app) as client:
        first = json.dumps({**CREDENTIALS, "user_id": "ada", "country_code": "DE"}).encode()
        answers = []
        for path, kind, body in [(IDENTIFY, JSON, first), *asked]:
            answers.append(
                (path, await client.post(path, content=body, headers={"content-type": kind}))
            )
        gateway = app.state.gateway
        while gateway.buffer.events:
            await gateway.flusher.flush()
        assert not gateway.failed
        assert not sink.dead_letters
        stats = gateway.stats
        assert stats.received == stats.stored + stats.duplicate
    stored = iter(sink.batches.values())
    for path, answer in answers:
        if expected := expected_of(path, answer):
            batch, kept = next(stored)
            rows = [row for row in kept if row is not None]
            found = [batch.user_id or row.user_id for row in rows]
            assert found[: len(expected)] == [each or found[0] for each in expected]
            if path == IDENTIFY:
                assert [row.type for row in rows] in (["Played"], ["Played", "Installed"])
                assert {data_of(row)["session_id"] for row in rows} == {answer.json()["session_id"]}
            else:
                assert len(rows) == len(expected)
    assert next(stored, None) is None, "something is stored that was not answered ok"
    return [batch for batch, _ in sink.batches.values()]


def expected_of(path: str, answer: httpx.Response) -> list[str | None]:
    """Check one answer; return whose events it promises, None for those it does not name."""
    assert answer.status_code in (200, 201, 400, 403, 404, 413), answer.text
    told: dict[str, Any] = answer.json()
    if not answer.is_success:
        assert told.get("errors") or told["error"]["code"] == 404
        return []
    if path == BATCH:
        results = told["results"]
        assert all(set(each["errors"]) for each in results if each["status"] == "error")
        taken = [each["user_id"] for each in results if each["status"] == "ok"]
        total = len(results)
        assert told["summary"] == {
            "total_events": total,
            "successful_events": len(taken),
            "failed_events": total - len(taken),
        }
        return taken
    return [] if path == PROPERTIES else [None]


_accepted: list[Batch] = []


@given(st.lists(requests, min_size=1, max_size=8))
@examples(150, suppress_health_check=[HealthCheck.too_slow])
async def test_what_was_answered_ok_is_stored_and_nothing_else(asked: list[Request]) -> None:
    _accepted.extend(await exchange(asked))


@pytest.mark.hypothesis
async def test_what_was_taken_there_sqlite_takes_too(tmp_path: Path) -> None:
    """No accepted body may be one that the store cannot take, as that would bury it."""
    if not _accepted:
        pytest.skip("nothing was sent")
    for number, batch in enumerate(_accepted):
        batch.journal, batch.sequence = "44" * 16, number
    async with open_store(f"sqlite:///{tmp_path}/events.db") as sink, sink.reader() as reader:
        written = await sink.write(_accepted)
        assert written.stored + written.duplicate == sum(batch.count for batch in _accepted)
        sums = await reader.action_statistics("your_teak_app_id")
        assert sum(each.statistics.events for each in sums) == written.stored


CREDENTIAL_FORM = "game_id=your_teak_app_id&secret_key=your_server_secret&"
CREDENTIAL_JSON = '{"game_id":"your_teak_app_id","secret_key":"your_server_secret",'


@pytest.mark.parametrize("path", PATHS)
async def test_bodies_made_to_hurt_are_refused_like_any_other(path: str) -> None:
    many = "".join(f'"key{number}":{number},' for number in range(10_000))
    deep = 100_000
    await exchange(
        [
            (path, JSON, (CREDENTIAL_JSON + many + '"user_id":"ada"}').encode()),
            (path, JSON, (CREDENTIAL_JSON + f'"events":[{"7," * 10_000}7]}}').encode()),
            (path, JSON, (CREDENTIAL_JSON + f'"properties":{{{many}"coins":1}}}}').encode()),
            (path, JSON, b"[" * deep),
            (path, JSON, (CREDENTIAL_JSON + f'"events":{"[" * deep}{"]" * deep}}}').encode()),
            (path, JSON, (CREDENTIAL_JSON + f'"user_id":{"[" * 900}{"]" * 900}}}').encode()),
            (path, JSON, (CREDENTIAL_JSON + f'"value":{"9" * 100_000}}}').encode()),
            (path, FORM, (CREDENTIAL_FORM + "a=b&" * 10_000).encode()),
            (path, FORM, (CREDENTIAL_FORM + "events[]=b&" * 3_000).encode()),
            (path, FORM, (CREDENTIAL_FORM + "events[][a]=b&" * 3_000).encode()),
            (path, FORM, (CREDENTIAL_FORM + "a" + "[b]" * 100_000 + "=1").encode()),
            (path, FORM, (CREDENTIAL_FORM + "a" + "[b]" * 32 + "=1").encode()),
            (path, FORM, (CREDENTIAL_FORM + "events=" + "[" * deep).encode()),
            (path, FORM, (CREDENTIAL_FORM + "properties=" + '{"a":' * deep).encode()),
            (path, FORM, (CREDENTIAL_FORM + "[" * deep).encode()),
            (path, FORM, (CREDENTIAL_FORM + "%" * deep).encode()),
            (path, FORM, b"&" * deep),
        ]
    )


@pytest.mark.hypothesis
async def test_events_of_ada_are_among_what_is_taken() -> None:
    """So that the tests above are not about refusals only."""
    fields = {**CREDENTIALS, "user_id": "ada", "action_type": "spin", "value": "1e9999"}
    stored = await exchange([(EVENTS, JSON, json.dumps(fields).encode())])
    assert len(stored) == 2
    assert len(_accepted) > share(50) or not _accepted
