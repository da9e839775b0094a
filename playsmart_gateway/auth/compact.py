"""The parts of a token in compact form (RFC 7515): what is base64url, what is JSON, what is signed.

A token can be written in one way only, and means one thing only: no other alphabet or padding, no
bits that are not looked at, no member twice. Every unknown player pays for this, so the usual token
takes few steps; what is unusual is looked at with care.
"""

import hmac
import json
from binascii import a2b_base64
from types import NoneType
from typing import Any

import msgspec

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PLAIN = frozenset({str, int, float, bool, NoneType})

_url_safe = bytes.maketrans(b"-_+/=", b"+/!!!")
# What is over a multiple of four characters may end in these: the bits that nobody reads are 0.
_last = {0: _ALPHABET, 1: b"", 2: _ALPHABET[::16], 3: _ALPHABET[::4]}


class Hmac:
    """HMAC with SHA-2, for ``HS256``, ``HS384`` or ``HS512``, used as PyJWT's algorithms are.

    A key is hashed when it is first seen, and not for each token.
    """

    def __init__(self, algorithm: str) -> None:
        self._hash = "sha" + algorithm.removeprefix("HS")
        self._keyed: dict[bytes, hmac.HMAC] = {}

    def verify(self, signed: bytes, key: bytes, signature: bytes) -> bool:
        """Return whether it is the signature."""
        keyed = self._keyed.get(key)
        if keyed is None:
            keyed = self._keyed[key] = hmac.new(key, digestmod=self._hash)
        mine = keyed.copy()
        mine.update(signed)
        return hmac.compare_digest(mine.digest(), signature)


def decode_segment(segment: bytes) -> bytes:
    """Return what base64url without padding says; raises ``ValueError`` if it is not just that."""
    over = len(segment) % 4
    if segment[-1:] not in _last[over]:
        raise ValueError("not base64url")
    return a2b_base64(segment.translate(_url_safe) + b"=" * (-over % 4), strict_mode=True)


def json_object(document: bytes) -> dict[str, Any]:
    """Return an object; raises ``ValueError`` if it is none or has a member twice, anywhere."""
    if (flat := _flat_object(document)) is not None:
        return flat
    value = _careful.decode(document.decode())  # UTF-8 only; json.loads would guess among others
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _flat_object(document: bytes) -> dict[str, Any] | None:
    """Return an object whose values are plain, None if it takes care to tell what is meant.

    msgspec keeps the last of two members of the same name without a word. But where nothing is
    escaped a text has two quotes, and a member that was dropped had them, too.
    """
    try:
        value = _quick.decode(document)
        kinds = [*map(type, value.values())]
    except (AttributeError, ValueError, msgspec.MsgspecError):
        return None
    quotes = 2 * (len(kinds) + kinds.count(str))
    is_plain = document.count(b'"') == quotes and b"\\" not in document
    return value if is_plain and _PLAIN.issuperset(kinds) else None


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError("a member twice")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_quick = msgspec.json.Decoder()
_careful = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
