"""What a body may cost: no 1 MB of anything costs much more than 1 MB of plain text.

Costs are CPU time of this process, the least of three, against a plain body in the same run.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.lynes import request as lynes
from playsmart_gateway.dialects.playsmart import request as playsmart
from playsmart_gateway.dialects.teak import analytics
from playsmart_gateway.dialects.teak.body import FORM, JSON, open_body
from playsmart_gateway.dialects.teak.properties import decode_properties
from playsmart_gateway.errors import Malformed
from tests.support.examples import examples

MAX_BYTES = 1_048_576
TIMES_A_PLAIN_ONE = 25
"""Generous: the worst is 10 times on a quiet machine; what this file is against was 300 times."""

PLAIN = [f'"key {n}":"value number {n}"' for n in range(30_000)]
HEAVY = st.lists(
    st.sampled_from(
        ["[]", "{}", '""', '"["', '"]"', '{"a":[]}', '{"":{"":0}}', "[" * 490 + "]" * 490,
         '{"a":' * 400 + "1" + "}" * 400, '["[",["]"]]', r'"\""', r'"\\"', r'"\"[\"{"', r'"\\\"["',
         r'"\u005b\u007b"', r'"\u0000"', r'"\ud83d\ude00"', r'"\ud83d"', '"\U0001f600"', '"é"',
         "0", "1.5", "-1e308", "1e-400", "9" * 400, "0." + "3" * 400, "true", "null", '{"k":1}',
         '{"a":1,"a":2,"a":3}']
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def cost(work: Callable[[], object]) -> float:
    """Return the CPU seconds of ``work``, whether it is refused or not."""
    times = []
    for _ in range(3):
        started = time.process_time()
        with contextlib.suppress(Malformed):
            work()
        times.append(time.process_time() - started)
    return min(times)


def upload(customdata: str, events: int = 1, kind: str = "AppOpen") -> bytes:
    event = f'{{"type":"{kind}","timestamp":"2026-04-22T14:30:00Z","customdata":{customdata}}}'
    return f'{{"user_id":"u","game_id":"g","events":[{",".join([event] * events)}]}}'.encode()


def filled(parts: list[str], size: int) -> str:
    """Return a JSON array of ``parts`` over and over, of ``size`` bytes or a little less."""
    text = ",".join(parts)
    return f"[{','.join([text] * (size // (len(text.encode()) + 1)))}]"


def through_playsmart(body: bytes) -> None:
    """Decode a body and have SQLite read the rows, as a flush does."""
    rows = playsmart.decode(body).rows.decode()
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE t AS SELECT value ->> 0, value ->> 3 FROM json_each(?)", (rows,))


@examples(30)
@given(HEAVY, st.sampled_from([1, 20, 200]), st.sampled_from(["AppOpen", "Nope"]))
@example(["[]"], 1, "AppOpen")
@example(["[" * 490 + "]" * 490], 1, "AppOpen")
@example(['["[",["]"]]'], 1, "AppOpen")
@example([r'"\u0000"'], 200, "AppOpen")
def test_no_events_cost_much_more_than_plain_ones(parts: list[str], events: int, kind: str) -> None:
    plain = cost(lambda: through_playsmart(upload(f"{{{','.join(PLAIN)}}}")))
    size = (MAX_BYTES - 500) // events - 100
    body = upload(f'{{"a":{filled(parts, size)}}}', events, kind)
    assert len(body) <= MAX_BYTES
    assert cost(lambda: through_playsmart(body)) < TIMES_A_PLAIN_ONE * plain
    mixed = body[:-2] + b"," + upload("{}")[body.index(b"[") + 1 :]
    assert cost(lambda: playsmart.decode(mixed, {}, [])) < TIMES_A_PLAIN_ONE * plain


@examples(20)
@given(HEAVY)
@example(["[]"])
@example(["[" * 400 + "]" * 400])
@example(["1e308"])
def test_no_metadata_cost_much_more_than_plain_ones(parts: list[str]) -> None:
    text = ",".join(['"' + "x" * 1_000 + '"'] * 100)
    fields = ",".join(f'"{name}":[{text}]' for name in "abcdefghij")
    plain = f'{{"eventId":"e","userId":"u","metadata":{{{fields}}}}}'.encode()
    heavy = filled(parts, MAX_BYTES - 99)
    body = f'{{"eventId":"e","userId":"u","metadata":{{"a":{heavy}}}}}'.encode()
    assert cost(lambda: lynes.decode(body)) < TIMES_A_PLAIN_ONE * cost(lambda: lynes.decode(plain))


def test_a_number_of_a_million_digits_is_refused_by_its_length() -> None:
    for number in ("0." + "0" * 1_000_000 + "1e1000000", "1" * 1_000_000, "1." + "0" * 1_000_000):
        with pytest.raises(Malformed):
            lynes.decode(f'{{"eventId":"e","userId":"u","metadata":{{"a":{number}}}}}'.encode())


@pytest.mark.parametrize("part", ["[]", "{}", '{"user_id":"u"}', "1"])
def test_too_many_events_are_refused_without_an_object_for_each(part: str) -> None:
    plain = upload(f"{{{','.join(PLAIN)}}}")
    events = filled([part], MAX_BYTES - 99)
    teak = f'{{"events":{events}}}'.encode()
    body = f'{{"user_id":"u","game_id":"g","events":{events}}}'.encode()
    budget = TIMES_A_PLAIN_ONE * cost(lambda: playsmart.decode(plain))
    assert cost(lambda: analytics.decode_batch(teak)) < budget
    assert cost(lambda: playsmart.decode(body)) < budget


@examples(20)
@given(HEAVY)
@example([r'{"user_id":"u\u0000","action_type":"a"}'])
def test_no_body_of_teak_costs_much_more_than_a_plain_one(parts: list[str]) -> None:
    plain = f'{{"user_id":"u","properties":{{{",".join(PLAIN[:200])}}}}}'.encode()
    plain += b" " * (MAX_BYTES - len(plain))
    body = f'{{"events":{filled(parts, MAX_BYTES - 99)}}}'.encode()
    kinds = {"a": "string"}

    def work(content: bytes) -> None:
        fields = open_body(content, JSON).fields()
        try:
            decode_properties(fields, kinds)  # type: ignore[arg-type]
        except Malformed:
            analytics.decode_batch(fields)

    assert cost(lambda: work(body)) < TIMES_A_PLAIN_ONE * cost(lambda: work(plain))


@pytest.mark.parametrize(
    "form",
    [
        b"x=" + b"%41" * 349_000, b"x=" + b"%41a" * 262_000, b"x=" + b"%C3%BC" * 174_000,
        b"x=" + b"+" * 1_048_000, b"x=" + b"%" * 1_048_000, b"game_id=" + b"%41" * 349_000,
        b"[" * 1_048_000, b"%5B" * 349_000, b"a[" * 524_000, b"&" * 1_048_000,
        b"&".join(b"a[][b%d]" % n + b"[c]" * 6 + b"=1" for n in range(4_095)),
        b"&".join(b"a" + b"[b]" * 8 + b"=%41" * 60 for n in range(4_095)),
        b"&".join(b"events[%d][a]=1" % (10**17 + n) for n in range(4_095)),
    ],
)  # fmt: skip
def test_no_form_costs_much_more_than_a_plain_one(form: bytes) -> None:
    plain = b"x=" + b"y" * 1_048_000
    budget = TIMES_A_PLAIN_ONE * cost(lambda: open_body(plain, FORM).fields())
    assert cost(lambda: open_body(form, FORM).fields()) < budget
