"""The parts of a token: each can be written in one way, and means one thing."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.auth.compact import Hmac, decode_segment, json_object


@given(st.binary(max_size=100))
def test_what_is_encoded_without_padding_is_decoded(content: bytes) -> None:
    assert decode_segment(base64.urlsafe_b64encode(content).rstrip(b"=")) == content


@given(
    st.text('AQgw_-+/=!. \n\x80é"\\u', min_size=1, max_size=9).map(
        lambda text: text.encode("latin-1")
    )
)
def test_what_is_not_just_that_is_refused(segment: bytes) -> None:
    """Anything that is taken is what the very same content is encoded as."""
    try:
        content = decode_segment(segment)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(content).rstrip(b"=") == segment


@pytest.mark.parametrize(
    "segment", [b"A", b"AB", b"AAB", b"AA==", b"A+A/", b"AA\n", b"AAAAA", b"\\u0041"]
)
def test_another_way_to_write_it_is_refused(segment: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the promise
        decode_segment(segment)


members = st.lists(
    st.tuples(
        st.sampled_from(["sub", "exp", "a", "", ":", "é", '"', "\\"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["", ":", "x", '":', "é", "\\", "\x00", "://", "a://b://c", "a://b:1"])
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=1), st.integers(), max_size=2),
    ),
    max_size=5,
)


def document(of: list[tuple[str, Any]], *, colon: str, is_ascii: bool) -> bytes:
    each = (json.dumps(one, ensure_ascii=is_ascii) for pair in of for one in pair)
    return (
        "{" + ", ".join(name + colon + value for name, value in zip(each, each, strict=True)) + "}"
    ).encode()


@given(members, st.sampled_from([":", " :", ": ", " : "]), st.booleans())
def test_an_object_is_read_and_one_with_a_member_twice_is_not(
    of: list[tuple[str, Any]], colon: str, is_ascii: bool
) -> None:
    text = document(of, colon=colon, is_ascii=is_ascii)
    if len(dict(of)) == len(of):
        assert json_object(text) == dict(of)
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            json_object(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"1", b"null", b'"a"', b"[]", b"{", b"{}x", b'{"a":NaN}', b'{"a":1,}', b"{'a':1}"),
        *(
            b'{"a":{"b":1,"b":2}}',
            b'{"a":[{"b":1,"b":2}]}',
            b'{"a" :1,"a":2}',
            b'{"\\u0061":1,"a":2}',
        ),
        *(b'{"a":"\xff"}', b'{"\xed\xa0\x80":1}', "{}".encode("utf-16"), b"\xef\xbb\xbf{}"),
    ],
)
def test_what_is_no_object_or_says_a_thing_twice_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        json_object(text)


@given(st.binary(min_size=32, max_size=200), st.binary(max_size=300), st.binary(max_size=70))
def test_a_signature_is_the_one_of_rfc_2104(key: bytes, signed: bytes, other: bytes) -> None:
    for name in ("HS256", "HS384", "HS512"):
        by = Hmac(name, key)
        right = hmac.digest(key, signed, getattr(hashlib, "sha" + name[2:]))
        written = base64.urlsafe_b64encode(right).rstrip(b"=")
        assert by.verify(signed, written)
        assert by.verify(signed, written), "a second time, with the key that is kept"
        assert not by.verify(signed + b"x", written)
        assert not Hmac(name, key + b"x").verify(signed, written)
        assert not by.verify(signed, written[:-1])
        assert not by.verify(signed, written + b"=")
        assert not by.verify(signed, right)
        assert not by.verify(signed, b"")
        assert by.verify(signed, other) is (other == written)
