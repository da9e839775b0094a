"""The parts of a token in compact form (RFC 7515): what is base64url, what is JSON, what is signed.

A token can be written in one way only, and means one thing only: no other alphabet or padding, no
bits that are not looked at, no member twice. Every unknown player pays for this, so the usual token
takes few steps; what is unusual is looked at with care.
"""

import hashlib
import json
from binascii import b2a_base64
from hmac import compare_digest
from typing import Any

import msgspec

MAX_TOKEN_BYTES = 8192

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Of what is not in the alphabet nothing comes out but "!", so that no JSON is made of it.
_from_url_safe = bytes(each if each in _ALPHABET else ord("!") for each in range(256)).translate(
    bytes.maketrans(b"-_", b"+/")
)
_to_url_safe = bytes.maketrans(b"+/", b"-_")
# What is over a multiple of four characters may end in these, as the bits that nobody reads are 0;
# and has such a padding.
_ends = tuple(
    {last[at : at + 1]: padding for at in range(len(last) + 1)}
    for last, padding in (
        (_ALPHABET, b""),
        (b"", b""),
        (_ALPHABET[::16], b"=="),
        (_ALPHABET[::4], b"="),
    )
)
_inner_pad = bytes(each ^ 0x36 for each in range(256))
_outer_pad = bytes(each ^ 0x5C for each in range(256))


class Hmac:
    """HMAC (RFC 2104) with SHA-2 and one key, for ``HS256``, ``HS384`` or ``HS512``.

    The key is hashed here, once, and not for each token; ``hmac`` can do the same, but takes twice
    the time to make a copy.
    """

    def __init__(self, algorithm: str, key: bytes) -> None:
        make = getattr(hashlib, "sha" + algorithm.removeprefix("HS"))
        size = make().block_size
        block = (make(key).digest() if len(key) > size else key).ljust(size, b"\0")
        self._inner = make(block.translate(_inner_pad))
        self._outer = make(block.translate(_outer_pad))

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Return whether it is the signature, written as base64url without padding writes it."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        written = b2a_base64(outer.digest(), newline=False).translate(_to_url_safe, b"=")
        return compare_digest(written, signature)


def segments_of(token: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what is signed, the header and the claims of it, and the signature, none decoded.

    Raises ``ValueError`` for a token of more than ``MAX_TOKEN_BYTES``.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise ValueError
    signed, _, signature = token.rpartition(b".")
    header, _, claims = signed.partition(b".")  # one dot more is no base64url
    return signed, header, claims, signature


def decode_segment(segment: bytes) -> bytes:
    """Return what base64url without padding says; raises ``ValueError`` if it is not just that."""
    padding = _ends[len(segment) % 4].get(segment[-1:])
    if padding is None:
        raise ValueError
    try:  # for long ones a JSON string is three times as fast as binascii
        return _base64.decode(b'"%b%b"' % (segment.translate(_from_url_safe), padding))
    except msgspec.MsgspecError:
        raise ValueError from None


def json_object(document: bytes) -> dict[str, Any]:
    """Return an object; raises ``ValueError`` if it is none or has a member twice, anywhere.

    msgspec keeps the last of two members of the same name without a word. But each member has its
    colon, so that those that are left are all if there are as many as colons. Those of addresses
    are in texts, as nothing else may have slashes behind it.
    """
    try:
        value = _quick.decode(document)
    except (ValueError, msgspec.MsgspecError):
        pass  # it may be usable all the same, such as a number that only Python can hold
    else:
        colons, members = document.count(b":"), len(value)
        if colons == members or colons - document.count(b"://") == members:
            return value
    careful = _careful.decode(document.decode())  # UTF-8 only; json.loads would guess among others
    if not isinstance(careful, dict):
        raise ValueError
    return careful


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError


_base64 = msgspec.json.Decoder(bytes)
_quick = msgspec.json.Decoder(dict[str, Any])
_careful = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
