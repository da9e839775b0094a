"""What a gateway remembers of its last answers, for ``trace``."""

import msgspec

from playsmart_gateway.events.batch import PLAYSMART, Batch
from playsmart_gateway.http.answered import MAX_REFUSED, MAX_TAKEN, Answered, Remembered
from tests.support.doubles import FakeClock

JOURNAL = "11" * 16


def batch(sequence: int, journal: str = JOURNAL) -> Batch:
    return Batch(PLAYSMART, "com.example.game", "p-1", 1, b"[]", journal, sequence)


def test_a_player_who_is_erased_is_named_in_no_refusal_any_more() -> None:
    answered = Answered(FakeClock(7.0))
    answered.refused(b"r-1", 403, "forbidden:user", "the token is of da%20vid")
    answered.refused(b"r-2", 403, "forbidden:user", "the token is of zoe")
    answered.forget("da vid")
    assert list(answered.find(b"r-1")) == [Remembered(403, reason="forbidden:user", at=7.0)]
    assert [each.told for each in answered.find(b"r-2")] == ["the token is of zoe"]


def test_what_became_of_a_request_is_found_by_its_id_which_may_be_used_again() -> None:
    answered = Answered(FakeClock(7.0))
    answered.refused(b"r-1", 503, "buffer_full")
    answered.took(b"r-1", 202, batch(4))
    answered.took(b"r-2", 200, batch(5))
    answered.took(b"r-4", 202, batch(2**40), 199)
    assert list(answered.find(b"r-1")) == [
        Remembered(503, reason="buffer_full", at=7.0),
        Remembered(202, batch=f"{JOURNAL}-4"),
    ]
    assert list(answered.find(b"r-3")) == []
    assert msgspec.json.decode(answered.told("r-2")) == [{"status": 200, "batch": f"{JOURNAL}-5"}]
    assert list(answered.find(b"r-4")) == [
        Remembered(202, batch=f"{JOURNAL}-{2**40}", rejected=199)
    ]
    assert answered.told("\udcff") == b"[]"


def test_refusals_push_out_nothing_that_was_taken_and_all_has_a_limit() -> None:
    answered = Answered(FakeClock())
    answered.took(b"first", 202, batch(1))
    for number in range(MAX_TAKEN - 1):
        answered.refused(b"%d" % number, 401, "invalid_token")
    assert list(answered.find(b"first"))
    assert list(answered.find(b"%d" % (MAX_TAKEN - MAX_REFUSED - 2))) == []
    assert list(answered.find(b"%d" % (MAX_TAKEN - MAX_REFUSED - 1)))
    for _ in range(MAX_TAKEN):
        answered.took(b"later", 202, batch(2))
    assert list(answered.find(b"first")) == []


def test_a_batch_is_of_the_journal_that_was_written_to_when_it_was_taken() -> None:
    answered = Answered(FakeClock())
    names = {}
    for number in range(3 * MAX_TAKEN):
        journal = f"{number // (MAX_TAKEN // 3):032x}"  # taken anew some times in all that is kept
        answered.took(b"%d" % number, 202, batch(number + 1, journal))
        names[b"%d" % number] = f"{journal}-{number + 1}"
    for number in range(2 * MAX_TAKEN, 3 * MAX_TAKEN, MAX_TAKEN // 40):
        (found,) = answered.find(b"%d" % number)
        assert found.batch == names[b"%d" % number]
    assert len(answered._journals) <= 5, "of the others nothing is asked any more"
    assert not list(answered.find(b"%d" % (2 * MAX_TAKEN - 1)))
