"""What a phone does with each answer, and with files that a kill left behind."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.campaigns.phones.phone import Answer, Life, Phone, Segment

DONE = Answer(202, True)


class Scripted(Phone):
    """A phone whose network answers as it is told, and notes what was sent."""

    def __init__(self, folder: Path, answers: Sequence[Answer] = (), **life: bool) -> None:
        super().__init__(
            Life(1, str(folder), "", 0, "player", "game", ["old", "new"], pause_seconds=0, **life)
        )
        self.answers = list(answers)
        self.sent: list[tuple[str, int, int]] = []

    def post(self, body: bytes) -> Answer:
        told = json.loads(body)
        self.sent.append((told["run"], told["seq"], len(told["events"])))
        return self.answers.pop(0) if self.answers else DONE

    def tracked(self, events: int) -> "Scripted":
        for place in range(events):
            self.track("AppOpen", {"n": place})
        return self

    @property
    def waiting(self) -> int:
        segment = self.segments.oldest()
        return 0 if segment is None else len(segment.lines)


def test_events_are_sent_with_their_numbers_and_a_file_at_most_a_request(tmp_path: Path) -> None:
    phone = Scripted(tmp_path).tracked(250)
    assert phone.flush()
    run = phone.segments.run
    assert phone.sent == [(run, 0, 100), (run, 100, 100), (run, 200, 50)]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(200),
        Answer(204),
        Answer(401),
        Answer(403, retry_after=0),
        Answer(404),
        Answer(429, retry_after=0),
        Answer(500),
        Answer(502),
        Answer(503, retry_after=0),
    ],
)
def test_what_was_not_taken_is_kept_and_sent_again_under_its_numbers(
    tmp_path: Path, answer: Answer
) -> None:
    phone = Scripted(tmp_path, [answer]).tracked(3)
    phone.flush()
    assert phone.flush()
    run = phone.segments.run
    assert phone.sent == [(run, 0, 3)] * 2
    assert phone.waiting == 0


def test_a_file_is_halved_until_the_one_event_that_is_refused_is_set_aside(tmp_path: Path) -> None:
    refused = [Answer(400), Answer(413), Answer(422)]
    phone = Scripted(tmp_path, refused).tracked(4)
    assert phone.flush()
    assert [part[1:] for part in phone.sent] == [(0, 4), (0, 2), (0, 1), (1, 1), (2, 2)]
    (aside,) = (tmp_path / "rejected").iterdir()
    assert aside.name == f"{phone.segments.run}-00000000.ndjson"


def test_who_is_not_patient_halves_a_file_for_which_no_answer_came(tmp_path: Path) -> None:
    phone = Scripted(tmp_path, [Answer()], is_patient=False).tracked(20)
    phone.flush()
    assert phone.flush()
    assert [part[1:] for part in phone.sent] == [(0, 20), (0, 10), (10, 10)]


def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    phone = Scripted(tmp_path, [Answer(503, retry_after=3_600)]).tracked(1)
    assert not phone.flush()
    assert not phone.flush()
    assert len(phone.sent) == 1


def test_the_next_life_goes_on_with_the_files_under_their_run(tmp_path: Path) -> None:
    dead = Scripted(tmp_path).tracked(2)
    phone = Scripted(tmp_path).tracked(1)
    assert phone.flush()
    sent = [(dead.segments.run, 0, 2), (phone.segments.run, 0, 1)]
    assert phone.sent == sorted(sent)  # both may have begun in the same millisecond


def test_a_line_that_was_torn_is_not_sent(tmp_path: Path) -> None:
    phone = Scripted(tmp_path).tracked(2)
    with (tmp_path / f"{phone.segments.run}-00000000.ndjson").open("ab") as file:
        file.write(b'{"type":"App')
    assert phone.flush()
    assert phone.sent == [(phone.segments.run, 0, 2)]


def test_a_kill_in_the_middle_of_halving_leaves_a_repeat_and_no_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Scripted(tmp_path).tracked(4)
    phone.segments.close()
    segment = phone.segments.oldest()
    assert segment is not None
    replace = Path.replace
    done: list[Path] = []

    def killed(self: Path, target: Path) -> Path:
        if done:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        phone.segments.halve(segment)
    monkeypatch.undo()
    next_life = Scripted(tmp_path)
    assert next_life.flush()
    assert [part[1:] for part in next_life.sent] == [(0, 4), (2, 2)]


def test_the_clock_is_told_of_the_run_that_sends_alone(tmp_path: Path) -> None:
    phone = Scripted(tmp_path)
    own = phone.body(Segment(phone.segments.run, 0, [b"{}"]))
    of_another = phone.body(Segment("0" * 36, 0, [b"{}"]))
    assert "sent_at" in json.loads(own)
    assert "sent_at" not in json.loads(of_another)
