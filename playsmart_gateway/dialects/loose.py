"""A body whose fields may hold anything, read so that what is wrong with all of it can be told."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from playsmart_gateway.errors import Detail, Malformed

T = TypeVar("T")


def decode_loosely(body: bytes, decode: Callable[[bytes], T], *, path: str = "") -> T:
    """Return ``body`` as ``decode`` reads it, whose fields take anything.

    The body is checked for UTF-8: msgspec does not look inside the strings that it skips.

    Raises:
        Malformed: the body is not UTF-8, not JSON, no object or nests too deep; its details name
            ``path``.
    """
    try:
        str(body, "utf-8")
        return decode(body)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "nests too deep"
    except msgspec.ValidationError:
        problem = "must be a JSON object"
    except msgspec.DecodeError as error:
        problem = f"is not JSON: {error}"
    raise Malformed(details=[Detail(path, problem)])
