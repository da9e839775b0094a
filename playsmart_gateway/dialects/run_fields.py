"""The fields by which a client numbers its events, for every dialect that has them."""

from typing import Annotated

import msgspec
from msgspec.structs import astuple

from playsmart_gateway.dialects.loose import NO_NUL
from playsmart_gateway.events.about import MAX_CLIENT_TEXT_LENGTH, Program
from playsmart_gateway.events.batch import MAX_SEQ

RUN_RULE = "must be a UUID in lower case, 36 characters"
SEQ_RULE = f"must be an integer from 0 to {MAX_SEQ}"
CLIENT_RULE = (
    "must be a JSON object whose name, version, app_version and platform are strings of at most"
    f" {MAX_CLIENT_TEXT_LENGTH} characters, none of them NUL"
)

RUN_PATTERN = "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

RunId = Annotated[
    str,
    msgspec.Meta(
        max_length=36,  # as $ matches before a line's end, too
        pattern=RUN_PATTERN,
        description="Names one process life of the client: a UUID in lower case, best a UUIDv7.",
        examples=["0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"],
    ),
]
Seq = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=MAX_SEQ,
        description="The number of the first event in its run, 0 if it is not given; the others"
        " follow. A number of a run is stored once, so a repeat is harmless.",
        examples=[0],
    ),
]
ClientText = Annotated[
    str, msgspec.Meta(max_length=MAX_CLIENT_TEXT_LENGTH, extra_json_schema=NO_NUL)
]


class Client(msgspec.Struct, gc=False):
    """Which program sends, in words of its own, kept once a run; what else is in it is ignored."""

    name: ClientText | None = None
    version: ClientText | None = None
    app_version: ClientText | None = None
    platform: ClientText | None = None

    @property
    def program(self) -> Program | None:
        """What it says, None if that is nothing."""
        texts = [text or "" for text in astuple(self)]
        return Program(*texts) if any(texts) else None


read_run = msgspec.json.Decoder(RunId).decode
_decode_number = msgspec.json.Decoder(int | float).decode
_decode_client = msgspec.json.Decoder(Client).decode


def read_seq(raw: msgspec.Raw | bytes) -> int:
    """Read an integer, which some languages write with a fraction of zero.

    Raises:
        ValueError, OverflowError: it is none, or not one from 0 to ``MAX_SEQ``.
    """
    seq = int(number := _decode_number(raw))
    if seq != number or not 0 <= seq <= MAX_SEQ:
        raise ValueError
    return seq


def read_client(raw: msgspec.Raw | bytes) -> Client:
    """Read what a client says of itself.

    Raises:
        ValueError: it says it in another way.
    """
    client = _decode_client(raw)
    if any("\0" in text for text in astuple(client) if text):
        raise ValueError
    return client


def bytes_of(run: str) -> bytes:
    """Return the bytes of a run that was read, what ``run_key`` takes."""
    return bytes.fromhex(run.replace("-", ""))
