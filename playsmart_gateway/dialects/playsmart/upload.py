"""The body of ``POST /ingest/events``, as types: they check it, and they are its schema."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

import msgspec

from playsmart_gateway.dialects.loose import NO_NUL
from playsmart_gateway.dialects.run_fields import Client, RunId, Seq
from playsmart_gateway.events.about import About

MAX_EVENTS = 200
"""Events in one request (contract section 7)."""

MAX_ID_LENGTH = 256
"""Characters of a user or game id; the contract sets none, an index needs one."""

MAX_DEPTH = 500
"""How deep ``customdata`` may nest; readers of JSON, SQLite's among them, stop at 1,000."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ABSENT = msgspec.Raw(b"null")
"""No customdata was sent. Told by identity from a ``null`` that was, which is refused."""

Timestamp = Annotated[
    datetime,
    msgspec.Meta(
        tz=True,
        description="ISO 8601 with an explicit offset: `Z` or `+hh:mm`. Stored as UTC.",
        examples=["2026-04-22T14:30:00+00:00"],
    ),
]
Identifier = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH, extra_json_schema=NO_NUL)
]
EventName = Annotated[
    str,
    msgspec.Meta(min_length=1, description="Names the event.", extra_json_schema=NO_NUL),
]
CustomData = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description=f"Any JSON object, nested at most {MAX_DEPTH} deep. Keep it small.",
        extra_json_schema={"type": "object"},
    ),
]
SentAt = Annotated[
    datetime,
    msgspec.Meta(
        tz=True,
        description="When this attempt is sent, by the client's clock: ISO 8601 with an explicit"
        " offset. Of a run it tells how wrong that clock is.",
        examples=["2026-04-22T14:30:07+00:00"],
    ),
]


class _Event(msgspec.Struct, tag_field="type", gc=False):
    """What every type but ``Custom`` holds; a name may be sent along and has no use there."""

    type: ClassVar[str]
    name: ClassVar[None] = None
    timestamp: Timestamp
    customdata: CustomData = ABSENT


class AppOpen(_Event, tag=True, gc=False):
    """The app was opened, a session begins."""

    type: ClassVar = "AppOpen"


class LevelCompleted(_Event, tag=True, gc=False):
    """A level was finished successfully."""

    type: ClassVar = "LevelCompleted"


class GameEnd(_Event, tag=True, gc=False):
    """A session ended by completion, failure or exit."""

    type: ClassVar = "GameEnd"


class AdImpression(_Event, tag=True, gc=False):
    """An ad was shown."""

    type: ClassVar = "AdImpression"


class IAPPurchase(_Event, tag=True, gc=False):
    """An in-app purchase was completed."""

    type: ClassVar = "IAPPurchase"


class Custom(msgspec.Struct, tag_field="type", tag=True, gc=False):
    """Anything else, by name."""

    type: ClassVar = "Custom"
    timestamp: Timestamp
    name: EventName = msgspec.field(name="customEventName")
    customdata: CustomData = ABSENT


Event = AppOpen | LevelCompleted | GameEnd | AdImpression | IAPPurchase | Custom


class Upload(msgspec.Struct, gc=False):
    """The body of a request.

    The last four are ours; a client that sends none of them is served as ever.
    """

    user_id: Identifier
    game_id: Identifier
    events: Annotated[list[Event], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]
    run: RunId | None = None
    seq: Seq | None = None
    sent_at: SentAt | None = None
    client: Client | None = None

    @property
    def about(self) -> About | None:
        """What it says of itself, None if that is nothing."""
        program, sent_at = None, None
        if self.client is not None:
            program = self.client.program
        if self.sent_at is not None:
            sent_at = (self.sent_at - _EPOCH) // timedelta(microseconds=1)
        return None if program is None and sent_at is None else About(sent_at, program)
