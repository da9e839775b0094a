"""Recorded requests, a line each."""


def body(user: str, events: int = 1) -> bytes:
    event = b'{"type":"AppOpen","timestamp":"2026-01-01T00:00:00Z"}'
    return b'{"user_id":"%b","game_id":"g","events":[%b]}' % (
        user.encode(),
        b",".join([event] * events),
    )


BODIES = [body("anna"), body("ben", 3), body("anna", 2), body("carl"), body("anna")]
