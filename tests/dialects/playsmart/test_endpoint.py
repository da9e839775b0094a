"""The PlaySmart dialect against its contract: worked examples over HTTP, then a model of it all.

Each file in ``cases/playsmart`` is one request and all that must come of it: the status, the reply
to the letter where the contract shows it, the headers and the rows.
"""

import json
import re
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.playsmart.request import decode, decode_in_steps
from playsmart_gateway.dialects.playsmart.upload import MAX_DEPTH, MAX_EVENTS
from playsmart_gateway.errors import Malformed
from playsmart_gateway.http.error_body import (
    MAX_DETAILS,
    error_body,
)
from playsmart_gateway.http.turns import at_once
from tests import CASE_FILES
from tests.dialects.cases import as_in_a_case, body_of, headers_of
from tests.dialects.model import parse, read, read_timestamp
from tests.support.examples import examples, share
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

CASES = {path.stem: path for path in sorted((CASE_FILES / "playsmart").iterdir())}


# --- the examples of the contract, over HTTP -----------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_worked_example_of_the_contract_holds(
    name: str, gateway: RunningGateway, start_gateway: StartGateway
) -> None:
    case: dict[str, Any] = json.loads(CASES[name].read_text("utf-8"))
    if environment := case.get("environment"):
        gateway = start_gateway(**environment)
    gateway.settle()
    newest = gateway.newest_event_id()

    path = case.get("path", "/ingest/events")
    answer = gateway.client.post(path, content=body_of(case), headers=headers_of(case))

    assert answer.status_code == case["status"], answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    if "reply_text" in case:
        assert answer.text == case["reply_text"]
    if "reply" in case:
        assert answer.json() == case["reply"]
    if "reply_code" in case:
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (case["reply_code"], case["reply_message"])
    for header, value in case.get("reply_headers", {}).items():
        assert answer.headers[header] == value
    gateway.settle()
    rows = [as_in_a_case(row) for row in gateway.events_after(newest)]
    repeated = case.get("repeat_row", {"times": 0, "row": None})
    assert rows == case.get("rows", []) + [repeated["row"]] * repeated["times"]


# --- the model -----------------------------------------------------------------------------------

MARKER = "sesame-4711"

Json = str
"""A JSON text; put together from texts, because no Python value can hold what we want to send."""


def an_object(*members: tuple[str, Json]) -> Json:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


def quoted(text: str) -> Json:
    return json.dumps(text, ensure_ascii=False)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from(
        ["null", "true", "false", "0", "-0", "-0.0", "1e999", "1E-5", "12345678901234567890"]
    ),
    st.integers(-(2**80), 2**80).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    texts.map(quoted),
    texts.map(json.dumps),
    st.sampled_from(
        [
            '"\\u0000"',
            '"\\ud83d\\ude00"',
            '"\\/"',
            '"\\\\u0000"',
            f'"{MARKER}"',
            "9" * 5000,
            '"x\\uD83D"',
            '"\\ude00\\ud83d\\uDE00\\ud83d"',
            '"\\\\ud83d \\\\\\udabc"',
            '"\\ud83d\\n"',
        ]
    ),
)
values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]"),
        st.lists(st.tuples(texts, inner), max_size=3).map(lambda each: an_object(*each)),
    ),
    max_leaves=8,
)
objects: st.SearchStrategy[Json] = st.lists(
    st.tuples(st.one_of(texts, st.sampled_from(["a", "a", "type", "\ud83d"])), values), max_size=3
).map(lambda each: an_object(*each))
junk: st.SearchStrategy[Json] = st.one_of(
    values,
    st.sampled_from(
        [
            "NaN", "-Infinity", "01", "1.", ".5", "+1", "'x'", "[1,]", '{"a":}', "{,}", "undefined",
            '"\\ud800"', '"\\udc00\\ud800"', '{"a":"\\ud800"}', '{"\\udfff":1}', '"\\x41"', '"\t"',
            '"', "[", "}", "", " ", '"\\u0000"', f'"{MARKER}\\u0000"', "\ufeff{}", "/**/1", "{} {}",
        ]
    ),
)  # fmt: skip

digits = st.text("0123456789", min_size=1, max_size=9)
dates = st.dates().flatmap(
    lambda day: st.sampled_from(
        [
            day.isoformat(),
            f"{day.year:04}{day.month:02}{day.day:02}",
            "{:04}-W{:02}-{}".format(*day.isocalendar()),
            "{:04}W{:02}{}".format(*day.isocalendar()),
            f"{day.year:04}-{day.timetuple().tm_yday:03}",
            f"{day.year:04}{day.timetuple().tm_yday:03}",
        ]
    )
)
clocks = st.builds(
    lambda time, form, mark, fraction: {
        "hour": f"{time.hour:02}",
        "minute": f"{time.hour:02}:{time.minute:02}",
        "second": f"{time:%H:%M:%S}",
        "basic": f"{time:%H%M%S}",
        "fraction": f"{time:%H:%M:%S}{mark}{fraction}",
        "basic fraction": f"{time:%H%M%S}{mark}{fraction}",
        "midnight": f"24:00:00{mark}{fraction}",
        "short midnight": "24:00",
        "leap": f"23:59:60{mark}{fraction}",
    }[form],
    st.times(),
    st.sampled_from(
        [
            "hour",
            "minute",
            "second",
            "basic",
            "fraction",
            "fraction",
            "basic fraction",
            "midnight",
            "short midnight",
            "leap",
        ]
    ),
    st.sampled_from(".,"),
    digits,
)
offsets = st.one_of(
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+00", "+0530", "-23:59", "+23:59", "+14:00"]),
    st.builds(
        "{}{:02}{}{:02}".format,
        st.sampled_from("+-\u2212"),
        st.integers(0, 24),
        st.sampled_from([":", ""]),
        st.integers(0, 60),
    ),
)
timestamps = st.one_of(
    st.builds("{}{}{}{}".format, dates, st.sampled_from("TTTt "), clocks, offsets),
    st.datetimes().map(lambda when: f"{when.isoformat()}Z"),
    st.sampled_from(
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29T00:00:00+14:00"]
    ),
)
wrong_timestamps = [
    "", "now", "2024-01-15", "2024-01-15Z", "12:00:00Z", "1705320000", "2024-01-15T12:00:00",
    "2024-01-15T12:00:00.5", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
    "2023-02-29T12:00:00Z", "2024-13-01T12:00:00Z", "0000-01-01T00:00:00Z", "2023-W53-1T12:00Z",
    "2024-01-15T24:00:01Z", "2024-01-15T24:01Z", "2024-01-15T24:00:00.0000001Z",
    "2024-01-15T23:59:60+01:00", "9999-12-31T23:59:60Z", "9999-12-31T24:00Z", "2023-366T00:00Z",
    "2024-000T00:00Z", "2024-367T00:00Z", "9999-366T00:00Z",
    "2024-01-15T12:60:00Z", "2024-01-15T12:00:60Z", "2024-01-15T12:00:61Z",
    "2024-01-15T12:00:00+24:00", "2024-01-15T12:00:00+05:60", "2024-01-15T12:00:00+5",
    "2024-01-15T12:00:00Z+00:00", "2024-01-15T12:00:00UTC", "2024-01-15T12:00:00[UTC]",
    " 2024-01-15T12:00:00Z", "2024-01-15T12:00:00Z ", "2024-01-15T12:00:00Z\n",
    "2024-01-15T12:00:00 Z", "2024-01-15T12:00:00 +00:00", "2024-01-15_12:00:00Z",
    "2024-01-15TT12:00:00Z", "2024-1-15T12:00:00Z", "24-01-15T12:00:00Z", "+2024-01-15T12:00:00Z",
    "2024-01-15T1:00:00Z", "2024/01/15T12:00:00Z", "2024-01-15T12.00.00Z", "Mon, 15 Jan 2024",
    "2024-01-15T12:0000Z", "2024-01-15T1200:00Z", "2024-01-15T12:00:00Z\0",
    "202\uff14-01-15T12:00:00Z",
    "2024-01-15T12:00:00+00:00\0", "2024-01-15T12:00:00.Z", "2024-01-15T12:00:00,Z",
    "2024-01-15T12.5Z", "2024-01-15T12:30.5Z", "2024-01-15T12:00:00+00:00:30",
    "2024-01-15T12:00:00+00:00:00.5", "2024-01-15T12:00:00.5.5Z", "2024-W03T12:00Z",
]  # fmt: skip

types = st.sampled_from(
    ["AppOpen", "LevelCompleted", "GameEnd", "AdImpression", "IAPPurchase", "Custom"]
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
Members = list[tuple[str, Json]]


@st.composite
def members_of_events(draw: st.DrawFn) -> Members:
    kind = draw(types)
    members = [("type", quoted(kind)), ("timestamp", quoted(draw(timestamps)))]
    if kind == "Custom":
        members.append(("customEventName", draw(names.map(quoted) | names.map(json.dumps))))
    if draw(st.booleans()):
        members.append(("customdata", draw(objects)))
    if draw(st.booleans()):
        members.append((draw(st.sampled_from(["sdk", "Type", "custom_data", ""])), draw(values)))
    return members


@st.composite
def spoilt(draw: st.DrawFn, members: Members) -> Members:
    """Perhaps drop a member, replace its value, write it twice, or say something else entirely."""
    if not members or draw(st.integers(0, 3)):
        return members
    members = list(members)
    place = draw(st.integers(0, len(members) - 1))
    name = members[place][0]
    value = draw(
        st.sampled_from(wrong_timestamps).map(quoted)
        if name == "timestamp" and draw(st.booleans())
        else junk
    )
    match draw(st.integers(0, 3)):
        case 0:
            del members[place]
        case 1:
            members[place] = (name, value)
        case 2:
            members.append((name, value))
        case 3:
            members.insert(0, (name, value))
    return members


@st.composite
def bodies(draw: st.DrawFn, *, spoiling: bool = True) -> bytes:
    """Request bodies: valid, and if ``spoiling`` also nearly valid and far from it."""

    def perhaps_spoilt(members: Members) -> Json:
        return an_object(*(draw(spoilt(members)) if spoiling else members))

    events = [
        perhaps_spoilt(draw(members_of_events()))
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3])))
    ]
    user_ids = names
    if spoiling:
        if not draw(st.integers(0, 15)):
            events = events[:1] * draw(st.sampled_from([0, 1, 200, 201]))
        if not draw(st.integers(0, 15)):
            events.append(draw(junk))
        user_ids |= st.sampled_from(["x" * 256, "x" * 257, ""])
    members = [
        ("user_id", quoted(draw(user_ids))),
        ("game_id", draw(st.sampled_from(['"com.example.game"', '"\\u00e9\\ud83d\\ude00"']))),
        ("events", f"[{','.join(events)}]"),
    ]
    space = draw(st.sampled_from(["", " ", "\r\n\t", "\n"]))
    return f"{space}{perhaps_spoilt(draw(st.permutations(members)))}{space}".encode()


EPOCH = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def problems(body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Malformed) as caught:
        decode(body)
    return [(each.path, each.message) for each in caught.value.details]


def agrees_with_the_model(body: bytes) -> None:
    expected = read(body)
    if not expected.is_valid:
        told = problems(body)
        assert {path for path, _ in told} == expected.wrong
        assert not any(MARKER in path + message for path, message in told)
        return
    batch = decode(body)
    assert (batch.user_id, batch.game_id) == (expected.user_id, expected.game_id)
    rows = parse(batch.rows.decode())
    assert len(rows) == batch.count == len(expected.rows)
    for (kind, name, occurred_at, customdata), row in zip(rows, expected.rows, strict=True):
        assert (kind, name, customdata) == (row.type, row.name, row.customdata)
        assert len(occurred_at) in (20, 27)
        assert occurred_at.endswith("Z")
        since = datetime.fromisoformat(occurred_at) - EPOCH
        assert Fraction(since // datetime.resolution, 1_000_000) == row.instant


@given(bodies())
@examples(700)
def test_the_dialect_and_the_model_read_a_body_alike(body: bytes) -> None:
    agrees_with_the_model(body)


@given(bodies(), st.data())
@examples(300)
def test_the_dialect_and_the_model_read_a_damaged_body_alike(
    body: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        cut = data.draw(st.integers(0, 2))
        damaged[place : place + cut] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"\\", b'"', b"{", b"}", b",", b"\xff", b"\0"])
        )
    agrees_with_the_model(bytes(damaged))


def one_timestamp(text: str) -> bytes:
    return json.dumps(make_upload("ada", make_event(timestamp=text))).encode()


@given(timestamps)
@examples(600)
@example("2024-01-15T12:00:00.9999999Z")
@example("9999-12-31T23:59:59.9999999Z")
@example("0001-01-01T00:00:00.0000009Z")
@example("2024-01-15T12:00:00.123456789+05:30")
def test_a_timestamp_in_any_form_of_iso_8601_names_the_same_instant(text: str) -> None:
    agrees_with_the_model(one_timestamp(text))


@pytest.mark.parametrize("text", wrong_timestamps)
def test_what_is_no_iso_8601_date_time_with_an_offset_is_refused(text: str) -> None:
    assert read_timestamp(text) is None
    agrees_with_the_model(one_timestamp(text))


@given(st.sampled_from(wrong_timestamps) | timestamps, st.data())
@examples(600)
def test_a_timestamp_that_is_nearly_right_is_read_as_the_model_does(
    text: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(text)))
    added = data.draw(st.sampled_from([*"0123456789:+-.,TZW \0é٣", ""]))
    agrees_with_the_model(one_timestamp(text[:place] + added + text[place + 1 :]))


# --- what the model leaves out -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "got"), [(0, "0"), (201, "201"), (1_000, "1000"), (10_000, "more than 1000")]
)
def test_too_few_and_too_many_events_are_one_problem_that_says_how_many(
    count: int, got: str
) -> None:
    body = json.dumps({**make_upload("ada"), "events": [7] * count}).encode()
    rule = f"must be an array of 1 to {MAX_EVENTS} events, got {got}"
    assert problems(body) == [("events", rule)]


def test_as_many_events_as_there_may_be_are_taken_in_any_form_of_time() -> None:
    for when in ("2026-04-22T14:30:00Z", "20260422T143000Z"):
        upload = make_upload("ada", *[make_event(timestamp=when)] * MAX_EVENTS)
        assert decode(json.dumps(upload).encode()).count == MAX_EVENTS


def test_every_rule_that_is_broken_is_told_in_its_words() -> None:
    events = [
        {"type": "Level", "timestamp": "now"},
        make_event("Custom", customEventName="", customdata=[]),
        7,
        {"type": "AppOpen"},
    ]
    upload = {"user_id": "", "game_id": 7, "run": "a", "seq": -1, "sent_at": "now", "client": 7}
    an_id = "must be a string of 1 to 256 characters, none of them NUL"
    when = "must be an ISO 8601 date-time with an explicit offset, in the years 1 to 9999 in UTC"
    assert problems(json.dumps({**upload, "events": events}).encode()) == [
        ("user_id", an_id),
        ("game_id", an_id),
        ("run", "must be a UUID in lower case, 36 characters"),
        ("seq", "must be an integer from 0 to 9007199254740991"),
        ("sent_at", when),
        (
            "client",
            "must be a JSON object whose name, version, app_version and platform are strings of at"
            " most 64 characters, none of them NUL",
        ),
        (
            "events.0.type",
            "must be one of AppOpen, LevelCompleted, GameEnd, AdImpression, IAPPurchase, Custom",
        ),
        ("events.0.timestamp", when),
        ("events.1.customEventName", "must be a string that is not empty and has no NUL"),
        ("events.1.customdata", "must be a JSON object nested at most 500 deep"),
        ("events.2", "must be a JSON object"),
        ("events.3.timestamp", "is required"),
    ]
    assert problems(b"{}") == [(name, "is required") for name in ("user_id", "game_id", "events")]


def nested(depth: int, *, opening: str = "[", closing: str = "]") -> Json:
    return opening * depth + closing * depth


def with_customdata(text: Json) -> bytes:
    body = json.dumps(make_upload("ada", make_event(customdata="CUSTOMDATA")))
    return body.replace('"CUSTOMDATA"', text).encode()


@pytest.mark.parametrize(("opening", "leaf", "closing"), [("[", "", "]"), ('{"a":', "1", "}")])
def test_customdata_nests_500_deep_and_no_deeper(opening: str, leaf: str, closing: str) -> None:
    def deep(levels: int) -> bytes:
        return with_customdata('{"a":' + opening * levels + leaf + closing * levels + "}")

    agrees_with_the_model(deep(MAX_DEPTH - 1))
    agrees_with_the_model(deep(MAX_DEPTH))
    assert decode(deep(MAX_DEPTH - 1)).count == 1
    assert problems(deep(MAX_DEPTH)) == [
        ("events.0.customdata", "must be a JSON object nested at most 500 deep")
    ]


def test_brackets_side_by_side_or_in_strings_are_not_depth() -> None:
    wide = '{"a":[' + ",".join(["[[]]"] * 600) + '],"b":"' + '[{\\"' * 900 + '"}'
    agrees_with_the_model(with_customdata(wide))
    assert decode(with_customdata(wide)).count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        nested(100_000).encode(),
        b'{"user_id":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        with_customdata('{"a":' + nested(100_000) + "}"),
        with_customdata(nested(100_000, opening='{"a":', closing="}").replace(":}", ":1}")),
        json.dumps(make_upload("ada")).encode().replace(b'"AppOpen"', nested(100_000).encode()),
    ],
    ids=["open", "closed", "within user_id", "objects", "customdata", "customdata objects", "type"],
)
def test_a_body_that_nests_100_000_deep_is_refused_like_any_other(body: bytes) -> None:
    ((path, _),) = problems(body)
    assert path == ""


@pytest.mark.parametrize("part", ["user_id", "customEventName", "customdata", "unknown"])
def test_bytes_that_are_not_utf_8_are_refused_wherever_they_are(part: str) -> None:
    event = make_event("Custom", customEventName="NAME", customdata={"a": "DATA"}, unknown="EXTRA")
    body = json.dumps(make_upload("USER", event))
    word = {"user_id": "USER", "customEventName": "NAME", "customdata": "DATA"}.get(part, "EXTRA")
    for wrong in (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
        damaged = body.encode().replace(word.encode(), wrong)
        assert problems(damaged) == [("", f"is not UTF-8 at byte {damaged.index(wrong)}")]
        with pytest.raises(Malformed):
            at_once(decode_in_steps(damaged))


def test_a_hundred_problems_are_told_as_twenty_and_a_number() -> None:
    body = json.dumps(make_upload("ada", *[{"type": "AppOpen"}] * 100)).encode()
    with pytest.raises(Malformed) as caught:
        decode(body)
    details = json.loads(error_body(400, "invalid_payload", caught.value.details))["error"][
        "details"
    ]
    assert [each["path"] for each in details[:-1]] == [
        f"events.{place}.timestamp" for place in range(MAX_DETAILS)
    ]
    assert details[-1] == {"path": "", "message": "and 80 more"}


def test_customdata_is_kept_to_the_letter() -> None:
    text = '{ "a" : 1.0, "a": 1e400,"n":123456789012345678901234567890, "z":"\\u00e9\\/\\u0000" }'
    assert text.encode() in decode(with_customdata(text)).rows


def occurred_at(text: str) -> str:
    ((_, _, when, _),) = json.loads(decode(one_timestamp(text)).rows)
    return str(when)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-12-31T23:59:59.9999999Z", "2026-12-31T23:59:59.999999Z"),
        ("2026-12-31T23:59:59,9999999Z", "2026-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-04-22T14:30:00.0000005+02:00", "2026-04-22T12:30:00Z"),
        ("2026-04-22T14:30:00.1234565Z", "2026-04-22T14:30:00.123456Z"),
        ("2026-04-22T14:30:00.12+05:55", "2026-04-22T08:35:00.120000Z"),
        ("20260422T143000.1234567Z", "2026-04-22T14:30:00.123456Z"),
        (f"2026-04-22T14:30:00.{'9' * 5_000}Z", "2026-04-22T14:30:00.999999Z"),
        ("2026-04-22T24:00:00Z", "2026-04-23T00:00:00Z"),
        ("2026-12-31T24:00:00.000+00:00", "2027-01-01T00:00:00Z"),
        ("20260422T2400Z", "2026-04-23T00:00:00Z"),
        ("9999-12-31T24:00+00:01", "9999-12-31T23:59:00Z"),
        ("2026-112T14:30:00Z", "2026-04-22T14:30:00Z"),
        ("2026112T143000Z", "2026-04-22T14:30:00Z"),
        ("2024-366T00:00Z", "2024-12-31T00:00:00Z"),
        ("2026-001T00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-04-22T14:30:00\u221204:00", "2026-04-22T18:30:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2017-01-01T00:59:60.5+01:00", "2017-01-01T00:00:00.500000Z"),
    ],
)
def test_a_corner_of_iso_8601_is_an_instant_cut_off_behind_the_microsecond(
    sent: str, kept: str
) -> None:
    assert occurred_at(sent) == kept


def test_fractions_are_cut_off_in_each_event_and_nowhere_else() -> None:
    texts = ["2026-04-22T14:30:00.9999999Z", "2026-04-22T14:30:00Z", "2026-04-22T14:30:00.1234564Z"]
    data = {"at": "14:30:00.9999999", "timestamp": texts[0], "f": 0.30000000000000004}
    body = make_upload("ada", *[make_event(timestamp=each, customdata=data) for each in texts])
    rows = json.loads(decode(json.dumps(body).encode()).rows)
    assert [row[2] for row in rows] == [
        "2026-04-22T14:30:00.999999Z", "2026-04-22T14:30:00Z", "2026-04-22T14:30:00.123456Z",
    ]  # fmt: skip
    assert [row[3] for row in rows] == [data] * 3


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ('"events"', r'"\u0065vents"'), ('"timestamp"', r'"t\u0069mestamp"'),
        (".9999999", r"\u002e9999999"), (".9999999", r".999999\u0039"),
        (":59.", r":5\u0039."), (":59.", r"\u003A59."),
    ],
)  # fmt: skip
def test_fractions_are_cut_off_however_they_are_spelled(plain: str, escaped: str) -> None:
    event = make_event(timestamp="2026-12-31T23:59:59.9999999Z")
    body = json.dumps(make_upload("ada", event, game_id="dotless"))
    assert plain in body
    (row,) = json.loads(decode(body.replace(plain, escaped).encode()).rows)
    assert row[2] == "2026-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (r'{"msg":"hey \ud83d"}', r'{"msg":"hey \ufffd"}'),
        (r'{"msg":"\uDE00 hey"}', r'{"msg":"\ufffd hey"}'),
        (r'{"\uD83dkey":1}', r'{"\ufffdkey":1}'),
        (r'{"a":["\ude00\ud83d",{"b":"\ud83d\n"}]}', r'{"a":["\ufffd\ufffd",{"b":"\ufffd\n"}]}'),
        (r'{"a":"\ud83d\ud83d\ude00\ude00"}', r'{"a":"\ufffd\ud83d\ude00\ufffd"}'),
        (r'{"a":"\\ud83d","b":"\ud83d"}', r'{"a":"\\ud83d","b":"\ufffd"}'),
        (r'{"a":"\\\ud83d","b":"\\\\ud83d"}', r'{"a":"\\\ufffd","b":"\\\\ud83d"}'),
        (r'{"a":"\ud83d\\ude00"}', r'{"a":"\ufffd\\ude00"}'),
        (r'{"a":"\ud83d\u0000"}', r'{"a":"\ufffd\u0000"}'),
    ],
)
def test_half_an_emoji_is_the_replacement_character_and_costs_no_event(
    sent: str, kept: str
) -> None:
    assert kept.encode() in decode(with_customdata(sent)).rows


def test_half_an_emoji_in_a_name_or_an_id_costs_no_event() -> None:
    event = {**make_event("Custom", customEventName="NAME"), "unknown": "EXTRA"}
    body = json.dumps(make_upload("USER", event, game_id="GAME"))
    for word in ("USER", "GAME", "NAME", "EXTRA"):
        body = body.replace(word, rf"x\ud83d{word}\ude00")
    batch = decode(body.encode())
    assert (batch.user_id, batch.game_id) == ("x\ufffdUSER\ufffd", "x\ufffdGAME\ufffd")
    assert json.loads(batch.rows)[0][1] == "x\ufffdNAME\ufffd"


def test_a_byte_order_mark_is_skipped() -> None:
    body = json.dumps(make_upload("ada")).encode()
    for marks in (1, 2, 10_000):
        assert decode(b"\xef\xbb\xbf" * marks + body) == decode(body)
    assert problems(b"\xef\xbb\xbf")[0][0] == ""


@pytest.mark.hypothesis
def test_what_the_model_accepts_sqlite_stores(gateway: RunningGateway) -> None:
    """No accepted body may be one that the store cannot take, as that would stop the gateway."""
    accepted: list[bytes] = []

    @given(bodies(spoiling=False))
    @examples(150)
    def collect(body: bytes) -> None:
        reading = read(body)
        # An offset of 24 hours makes a timestamp wrong, and a subject has no control characters.
        if reading.is_valid and re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]+", reading.user_id):
            accepted.append(body)

    collect()
    assert len(accepted) > share(10)
    newest = gateway.newest_event_id()
    expected = []
    for body in accepted:
        reading = read(body)
        answer = gateway.post(body, sub=reading.user_id)
        assert answer.status_code == 202, (answer.text, body)
        expected += [(reading.user_id, reading.game_id, row) for row in reading.rows]
    gateway.settle()
    stored = wait_until(lambda: gateway.events_after(newest))
    assert len(stored) == len(expected)
    for event, (user_id, game_id, row) in zip(stored, expected, strict=True):
        assert (event["user_id"], event["game_id"]) == (user_id, game_id)
        assert (event["type"], event["custom_event_name"]) == (row.type, row.name)
        kept = event["customdata"]
        assert (None if kept is None else parse(kept)) == row.customdata
