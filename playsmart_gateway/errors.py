"""Everything that can go wrong, as data: the error says what happened, the dialect how it sounds.

    GatewayError
    ├── ConfigError           the configuration cannot be used; the process does not start
    ├── NotNow                the machine does not let us start; the next try may work
    ├── Refused               a request gets an answer other than success
    │   ├── Malformed         400  the body breaks the contract
    │   ├── Unauthenticated   401  no caller could be established
    │   ├── Forbidden         403  the caller may not do this
    │   ├── NotFound          404  what was asked for is unknown here
    │   ├── MethodNotAllowed  405  the path is there, and takes other methods
    │   ├── TooSlow           408  the request did not arrive in time
    │   ├── Conflict          409  somebody else has it already
    │   ├── TooLarge          413  the body is over the limit
    │   ├── UnsupportedMedia  415  the body is not in a media type that we read
    │   │   └── UnsupportedEncoding    it is compressed, and not by gzip
    │   ├── RateLimited       429  too often; come back in ``retry_after_seconds``
    │   ├── HeadTooLarge      431  request line and headers are over the limit
    │   ├── InternalError     500  a bug; what it was is in the log
    │   ├── Unstorable        500  the store will never take it; nothing of it is kept
    │   ├── KeysUnavailable   503  no key could be fetched yet to check a token with
    │   ├── JournalUnavailable 503 the disk did not take the batch; nothing of it is kept
    │   ├── StoreUnavailable  503  the store cannot be read now
    │   ├── Overloaded        503  no room; come back in ``retry_after_seconds``
    │   ├── Overcrowded       503  too many bytes of bodies are on their way at once
    │   ├── Busy              503  operators ask for more than is done for them at once
    │   ├── TooManyConnections 503 as many as may be, in all or of one address
    │   ├── TooManyPasswords  503  too many passwords wait to be checked
    │   └── Closing           503  shutting down, or unable to promise anything
    ├── LakeError             the lake cannot be used now, or not with this store
    ├── QueryError            a question to the lake is refused, or went beyond a limit
    ├── ExportError           events cannot be written in that format or to that place
    ├── AdjustmentRefused     a correction of somebody's coins would be a mistake
    └── SinkError             the store did not take a flush
        ├── SinkUnavailable   keep the batches and come back
        └── SinkRejected      these batches will never fit

A ``Refused`` is raised by whoever finds the reason and rendered by the dialect that was asked.
"""

import errno
import traceback
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec


class Detail(msgspec.Struct, frozen=True):
    """One wrong field of a request: where it is (``events.3.timestamp``) and what is wrong."""

    path: str
    message: str

    @property
    def text(self) -> str:
        """Both, as one line has it."""
        return f"{self.path} {self.message}" if self.path else self.message


class GatewayError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(GatewayError):
    """The configuration cannot be used.

    ``problems`` lists every mistake found, each led by its key, so that one run shows them all.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class NotNow(GatewayError):
    """The machine does not let us start: a disk is full or fails, something is not writable."""


class Refused(GatewayError):
    """A request that is answered with an error.

    ``tag`` and ``cause``, one of ``causes``, are from closed sets: together they are the ``reason``
    in metrics, log and pages. ``message`` is public text, and ``details`` are in the answers of
    all dialects; ``explanation`` is in those that have room for it. None of these ever holds
    anything that the caller sent. ``told`` is for the operator alone, and may name a player.
    """

    tag: ClassVar[str]
    status: ClassVar[int]
    default_message: ClassVar[str]
    causes: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Detail] = (),
        retry_after_seconds: int | None = None,
        cause: str = "",
        explanation: Detail | None = None,
        told: str = "",
    ) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.details = tuple(details)
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause
        self.explanation = explanation
        self.told = told or ("" if explanation is None else explanation.text)

    @property
    def reason(self) -> str:
        """Why, in one word: ``unauthenticated:expired``."""
        return f"{self.tag}:{self.cause}" if self.cause else self.tag


class Malformed(Refused):
    """The body breaks the contract; ``details`` says where."""

    tag = "malformed"
    status = 400
    default_message = "invalid_payload"
    causes = frozenset({"gzip", "http", "query"})


class Unauthenticated(Refused):
    """No caller could be established from the credential."""

    tag = "unauthenticated"
    status = 401
    default_message = "invalid_token"
    causes = frozenset((
        "missing", "malformed", "header", "algorithm", "key", "signature", "subject", "claims",
        "kind", "revoked", "issuer", "audience", "expired", "not_yet_valid", "credentials",
        "operator",
    ))  # fmt: skip


class Forbidden(Refused):
    """The caller is known and may not do this."""

    tag = "forbidden"
    status = 403
    default_message = "user_id_mismatch"
    causes = frozenset({"user", "game", "secret", "api_key", "site"})


class NotFound(Refused):
    """What the caller asked for, or speaks of, is unknown here."""

    tag = "not_found"
    status = 404
    default_message = "not_found"
    causes = frozenset({"path", "event", "user", "streak"})


class MethodNotAllowed(Refused):
    """The path is there, and does not take this method."""

    tag = "method_not_allowed"
    status = 405
    default_message = "method_not_allowed"


class TooSlow(Refused):
    """The request did not arrive within the request timeout."""

    tag = "too_slow"
    status = 408
    default_message = "request_timeout"


class Conflict(Refused):
    """What the caller wants to have is somebody's already; the message says what."""

    tag = "conflict"
    status = 409
    default_message = "email_already_registered"
    causes = frozenset({"email", "device"})


class TooLarge(Refused):
    """The body is larger than the configured limit."""

    tag = "too_large"
    status = 413
    default_message = "body_too_large"


class UnsupportedMedia(Refused):
    """The body is in a media type that this endpoint does not read."""

    tag = "unsupported_media"
    status = 415
    default_message = "unsupported_media_type"
    causes = frozenset({"encoding"})


class UnsupportedEncoding(UnsupportedMedia):
    """The body is in a content coding that we do not undo."""

    default_message = "unsupported_content_encoding"


class RateLimited(Refused):
    """The caller has used up what it may ask for in this second."""

    tag = "rate_limited"
    status = 429
    default_message = "rate_limited"


class HeadTooLarge(Refused):
    """Request line and headers are larger than any that makes sense."""

    tag = "head_too_large"
    status = 431
    default_message = "request_headers_too_large"


class InternalError(Refused):
    """A bug of ours; the log says more."""

    tag = "internal_error"
    status = 500
    default_message = "internal_error"


class Unstorable(Refused):
    """The store will never take the event that this request waits for; nothing of it is kept."""

    tag = "unstorable"
    status = 500
    default_message = "internal_error"


class KeysUnavailable(Refused):
    """The token may be good; since the start no key could be fetched to check it with."""

    tag = "keys_unavailable"
    status = 503
    default_message = "keys_unavailable"


class JournalUnavailable(Refused):
    """The disk did not take the batch, so it cannot be promised anything."""

    tag = "journal_unavailable"
    status = 503
    default_message = "journal_unavailable"


class StoreUnavailable(Refused):
    """What was asked for is in the store, which cannot be read now."""

    tag = "store_unavailable"
    status = 503
    default_message = "store_unavailable"


class Overloaded(Refused):
    """The buffer has no room for this request."""

    tag = "buffer_full"
    status = 503
    default_message = "buffer_full"


class Busy(Refused):
    """Operators ask for more than is done for them at once; ingest goes on."""

    tag = "busy"
    status = 503
    default_message = "no_answer"


class Overcrowded(Refused):
    """Bodies that are on their way hold all the memory there is for them."""

    tag = "too_many_bodies"
    status = 503
    default_message = "too_many_bodies"


class TooManyConnections(Refused):
    """There are as many connections as may be, in all or of this address."""

    tag = "too_many_connections"
    status = 503
    default_message = "too_many_connections"
    causes = frozenset({"address"})


class TooManyPasswords(Refused):
    """As many passwords wait to be checked as may, or this one has for too long."""

    tag = "too_many_passwords"
    status = 503
    default_message = "too_many_passwords"


class Closing(Refused):
    """The gateway takes nothing any more."""

    tag = "closing"
    status = 503
    default_message = "shutting_down"


class ExportError(GatewayError):
    """Events cannot be written in that format, or to that place."""


class LakeError(GatewayError):
    """The lake cannot be read or written now, or does not belong to this store."""


class QueryError(GatewayError):
    """A question to the lake is refused, cannot be answered, or went beyond a limit."""


class AdjustmentRefused(GatewayError):
    """A correction of somebody's coins would be a mistake; nothing was changed."""


class SinkError(GatewayError):
    """The store did not take a flush. ``hint`` tells the operator what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SinkUnavailable(SinkError):
    """The store may take the same batches later: keep them and come back."""


class SinkRejected(SinkError):
    """The store did not take these batches, and may take others.

    It is ``certain`` that the batches are to blame when that was seen without the store.
    """

    def __init__(self, message: str, *, certain: bool = False) -> None:
        super().__init__(message)
        self.certain = certain


def too_large(most: int, got: str) -> TooLarge:
    """Return the refusal of a body of more than ``most`` bytes that has ``got`` so many."""
    return TooLarge(explanation=Detail("", f"must have at most {most:,} bytes, has {got}"))


def dropped_rows(triggers: Iterable[str]) -> SinkRejected:
    """Return the error of a store that took rows and has them not, be it for ``triggers``."""
    return SinkRejected(f"the store drops rows that it is given ({', '.join(triggers)})")


_MISTAKES = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


def is_mistake(error: OSError) -> bool:
    """Whether a path is to blame, which no waiting mends.

    A disk may get room, a mount may come, and a folder be made writable.
    """
    return error.errno in _MISTAKES


def to_install(extra: str) -> str:
    """Say how to install what the ``extra`` of ``pyproject.toml`` brings; the manual says it so."""
    return f"in the gateway's checkout, pip install '.[{extra}]'"


def at_start(problem: str, error: OSError) -> ConfigError | NotNow:
    """Return what to raise when a path cannot be used; ``problem`` leads with its key."""
    told = f"{problem}: {error.strerror}"
    return ConfigError([told]) if is_mistake(error) else NotNow(told)


def explained(error: GatewayError) -> tuple[list[str], int]:
    """Return what to tell who started the program, line by line, and its exit code."""
    if isinstance(error, ConfigError):
        return [f"error: {problem}" for problem in error.problems], 2
    hint = f". {error.hint}" if isinstance(error, SinkError) and error.hint else ""
    return [f"error: {error}{hint}"], 1


def told(error: OSError) -> str:
    """Say what the system would not do, and to which file if it says so."""
    text = (error.strerror or type(error).__name__).lower()
    return f"{error.filename}: {text}" if error.filename else text


def where(error: BaseException) -> str:
    """Name an unexpected error by type and place, without its text, which could quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    places = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} at {' > '.join(places)}"
