"""A client that keeps the rules passes all cases; one that breaks one fails those about it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from playsmart_gateway.clients.conformance import CASES, Result, run
from tests.clients.conformance.broken_clients import CLIENTS
from tests.clients.conformance.nursery import Nursery, nursery
from tests.support.polling import PATIENCE_SECONDS

pytestmark = pytest.mark.process

JOBS = 8
HELD_UP_SECONDS = 6.0
"""After which events that are never sent are given up."""

BROKEN = {
    "NewRunOnRetry": ["same-numbers-again", "status-503"],
    "NumbersEveryFileFrom0": ["numbers", "too-large", "many"],
    "RunForEver": ["killed-while-tracking", "killed-after-the-answer", "sent-at-of-another-life"],
    "DeletesBeforeTheAnswer": [
        "killed-before-the-answer",
        "no-network",
        "reset-before-reading",
        "reset-after-reading",
        "silence",
        "status-500",
        "status-502",
        "status-503",
    ],
    "DeletesOn401": ["status-401", "new-token"],
    "DeletesOnAny4xx": [
        *(f"status-{each}" for each in (403, 404, 405, 408, 415, 429)),
        "too-large",
        "status-400-not-ours",
        "poison-400",
    ],
    "DeletesOnAny3xx": ["redirect"],
    "DeletesOnAny2xx": [
        "captive-portal",
        "status-202-not-ours",
        "status-202-no-success",
        "status-204",
    ],
    "DoesNotReadTheAnswer": [
        "answer-cut-off",
        "answer-too-short",
        "redirect-takes-no-token",
        "status-202-not-ours",
    ],
    "NeverDeletes": ["once-only"],
    "KeepsWhatWasRejected": ["rejected-among-good"],
    "Hammers": ["waits-after-failures", "waits-for-a-token", "retry-after-429", "retry-after-503"],
    "WaitsOnlyAsItLikes": ["retry-after-429", "retry-after-503"],
    "LogsItsToken": ["token-in-its-log"],
    "SaysNoReason": ["reason-in-its-log"],
    "RepeatsAnyReason": ["reason-in-its-log"],
    "WritesItsTokenDown": ["token-in-its-files"],
    "TwoAtOnce": ["one-at-a-time"],
    "KeepsPoison": ["poison-400", "poison-422"],
    "NumbersHalvesAnew": ["too-large", "poison-413"],
    "SendsAnybodysEvents": ["another-player"],
    "StopsAtAStrangeFile": ["unreadable-file", "file-of-garbage", "pipe-in-the-queue"],
    "SendsTornLines": ["torn-line"],
    "NeverWakes": ["sends-at-fifty", "sends-in-time", "sends-at-the-start"],
    "IgnoresLocks": ["shared-folder"],
    "WritesWhenItSends": ["killed-while-tracking", "quits"],
    "NewestFirst": ["order", "many"],
    "Unbounded": ["bound"],
    "SendsWhatIsNoToken": ["no-token"],
    "GoesOnBehindATornLine": ["full-disk"],
    "GoesOnInADeletedFile": ["folder-deleted"],
    "OptsOutUpToAFolder": ["opt-out-beside-a-folder"],
    "ForgetsTheOptOut": ["opt-out-of-the-next-life"],
    "GoesOnAfterTheOptIn": ["opt-in"],
    "PacksEverything": ["small-is-plain", "no-gzip"],
    "RaisesAtAnEmptyType": ["absurd-input"],
    "WaitsForEveryByte": ["answer-in-drops"],
    "OptsOutOfSendingOnly": ["opt-out"],
    "KnowsNoSettings": ["bound-of-the-settings", "kill-switch", "sampling"],
    "TellsOfTheSwitchAndSends": ["kill-switch"],
    "SamplesAfterNumbering": ["sampling"],
    "SentOnce": ["sent-at"],
    "SentAtOfAnyRun": ["sent-at-of-another-life"],
    "GoesByTheGatewaysClock": ["clock-of-the-gateway"],
    "GoesOnAfterTheClockWasSet": ["clock-jump"],
    "SendsText": ["request"],
    "PacksInSilence": ["gzip"],
    "TakesNamesForTypes": ["custom-event"],
    "SleepsInTheBackground": ["background"],
    "SendsNothingWithoutSettings": ["broken-settings"],
    "WritesAnyLine": ["any-text"],
}
"""What has to fail, by the mistake."""

HELD_UP = [
    "KeepsPoison",
    "StopsAtAStrangeFile",
    "KnowsNoSettings",
    "SleepsInTheBackground",
    "WaitsForEveryByte",
    "NeverWakes",
    "SendsNothingWithoutSettings",
]
"""Those whose events are there, and never come: it takes the whole time to see that."""


@pytest.fixture(scope="module")
def clients() -> Iterator[Nursery]:
    with nursery("tests.clients.conformance.broken_clients") as started:
        yield started


def play(
    clients: Nursery, client: str, names: list[str], seconds: float = PATIENCE_SECONDS
) -> list[Result]:
    return run([client], names, seconds=seconds, jobs=JOBS, start=clients.start)


def test_our_client_for_python_passes_every_case(clients: Nursery) -> None:
    results = play(clients, "GoodClient", list(CASES), 2 * PATIENCE_SECONDS)
    assert [each.name for each in results] == list(CASES)
    assert [each for each in results if each.verdict != "passed"] == []


@pytest.mark.parametrize("mistake", [each for each in BROKEN if each not in HELD_UP])
def test_a_mistake_fails_the_cases_that_are_about_it(clients: Nursery, mistake: str) -> None:
    results = play(clients, mistake, BROKEN[mistake])
    assert [each for each in results if each.verdict != "failed"] == []
    # it is the fault that is seen, and no process that is slow
    assert [each for each in results if not each.detail.startswith("expected ")] == []


def test_so_does_one_that_holds_events_up(clients: Nursery) -> None:
    """All at once, as nothing is done but to wait."""
    with ThreadPoolExecutor(len(HELD_UP)) as pool:
        playing = [
            pool.submit(play, clients, each, BROKEN[each], HELD_UP_SECONDS) for each in HELD_UP
        ]
    for mistake, results in zip(HELD_UP, playing, strict=True):
        passed = [each.name for each in results.result() if each.verdict != "failed"]
        assert (mistake, passed) == (mistake, [])


def test_every_mistake_is_tried_and_every_case_finds_one() -> None:
    assert {*BROKEN, "GoodClient"} == set(CLIENTS)
    assert {name for each in BROKEN.values() for name in each} == set(CASES)
