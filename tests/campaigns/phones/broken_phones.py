"""Phones with one decision turned round: ``-m tests.campaigns.phones.broken_phones NAME``.

Each is a mistake that was found in clients people use, and each loses events or has them twice.
"""

import sys

from tests.campaigns.phones.phone import Answer, Phone, Segment, live, new_run


class _NewRunOnRetry(Phone):
    def body(self, segment: Segment) -> bytes:
        return super().body(Segment(new_run(), segment.first, segment.lines))


class _NumberReused(Phone):
    def body(self, segment: Segment) -> bytes:
        return super().body(Segment(segment.run, 0, segment.lines))


class _DeleteBeforeAnswer(Phone):
    def send(self, segment: Segment) -> bool:
        self.segments.remove(segment)
        return self.post(self.body(segment)).is_ours


class _DeleteOn401(Phone):
    def settle(self, segment: Segment, answer: Answer) -> bool:
        if answer.status == 401:
            self.segments.remove(segment)
            del self._tokens[:-1]
            return True
        return super().settle(segment, answer)


class _DeleteOnAny200(Phone):
    def settle(self, segment: Segment, answer: Answer) -> bool:
        return super().settle(segment, Answer(answer.status, True, answer.retry_after))


PHONES: dict[str, type[Phone]] = {
    "new run on retry": _NewRunOnRetry,
    "number reused": _NumberReused,
    "delete before answer": _DeleteBeforeAnswer,
    "delete on 401": _DeleteOn401,
    "delete on any 200": _DeleteOnAny200,
}

if __name__ == "__main__":
    sys.exit(live(PHONES[sys.argv[1]]))
