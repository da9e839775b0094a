"""Request bodies: the credentials first, then the same fields from either encoding."""

import json

import pytest

from playsmart_gateway.dialects.teak.body import FORM, JSON, open_body
from playsmart_gateway.errors import Malformed, UnsupportedMedia


def problem(content: bytes, media_type: bytes | None = JSON) -> str:
    with pytest.raises(Malformed) as caught:
        open_body(content, media_type)
    ((path, message),) = [(each.path, each.message) for each in caught.value.details]
    assert path == "body"
    return message


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"secret_key": "s", "game_id": "g"}', JSON),
        (b' {"game_id": 1, "game_id": "g", "secret_key": "\\u0073", "e": [{"game_id": 1}]}', None),
        (b'{"game_id": "g", "secret_key": "s"}', b"Application/JSON; charset=utf-8"),
        (b"secret_key=s&game_id=g", FORM),
        (b"game_id=x&secret_key=x&game_id=%67&a[game_id]=x&xgame_id=x&secret_key=%73", FORM),
        (b"game_id=g&secret_key=s", b" application/x-www-form-urlencoded;charset=UTF-8"),
    ],
)  # fmt: skip
def test_the_credentials_are_found(content: bytes, media_type: bytes | None) -> None:
    body = open_body(content, media_type)
    assert (body.game_id, body.secret_key) == ("g", "s")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"{}", JSON),
        (b'{"game_id": null, "secret_key": 5}', JSON),
        (b'{"game_id": ["g"], "secret_key": {"a": "s"}}', JSON),
        (b'{"game_id": false, "secret_key": true}', JSON),
        (b"", FORM),
        (b"game_id&secret_key=", FORM),
        (b"game_id[]=g&secret_key[a]=s", FORM),
    ],
)
def test_credentials_that_are_absent_or_no_strings_are_empty(
    content: bytes, media_type: bytes
) -> None:
    body = open_body(content, media_type)
    assert (body.game_id, body.secret_key) == ("", "")


@pytest.mark.parametrize("sent", [b"42", b"42.0", b'"42"'])
def test_a_numeric_app_id_is_its_digits(sent: bytes) -> None:
    assert open_body(b'{"game_id": %b, "secret_key": "s"}' % sent, JSON).game_id == "42"


def test_a_byte_order_mark_is_skipped() -> None:
    fields = {"game_id": "g", "secret_key": "s", "a": "x"}
    marks = b"\xef\xbb\xbf"
    for content, media_type in (
        (json.dumps(fields).encode(), JSON),
        (b"game_id=g&secret_key=s&a=x", FORM),
    ):
        body = open_body(marks + content, media_type)
        assert (body.game_id, body.secret_key) == ("g", "s")
        assert json.loads(body.fields()) == fields


def test_half_an_emoji_anywhere_is_the_replacement_character() -> None:
    body = open_body(
        rb'{"game_id":"g\ud83d","secret_key":"\ude00s","\ud83d":["\ud83d\ude00"]}', JSON
    )
    assert (body.game_id, body.secret_key) == ("g\ufffd", "\ufffds")
    assert json.loads(body.fields())["\ufffd"] == ["\U0001f600"]


@pytest.mark.parametrize(
    "content", [b'{"game_id":"g","secret_key":"s=&"}', b' \n{"game_id":1}', b"{", b"[1]"]
)
def test_json_that_is_called_a_form_is_told_so(content: bytes) -> None:
    assert problem(content, FORM) == "is JSON, which needs the Content-Type application/json"


@pytest.mark.parametrize("media_type", [JSON, None])
def test_a_form_that_is_called_json_is_told_so(media_type: bytes | None) -> None:
    for content in (
        b"game_id=g&secret_key=s",
        b"a=%zz&game_id=g",
        b"events=[{}]&b=\xff",
        b" a[b]=1",
    ):
        assert problem(content, media_type) == (
            "is a form, which needs the Content-Type application/x-www-form-urlencoded"
        )


@pytest.mark.parametrize(
    "content",
    [
        b"game_id=g&secret_key=s&a=x\r\n",
        b"game_id=g&a=x&secret_key=s\n",
        b"secret_key=s&\ngame_id=g&\na=x\n",
        b"game_id=+g%0D%0A&secret_key=s&a=%20x%0a",
    ],
)
def test_white_space_around_the_values_of_a_form_is_not_part_of_them(content: bytes) -> None:
    body = open_body(content, FORM)
    assert (body.game_id, body.secret_key) == ("g", "s")
    assert json.loads(body.fields()) == {"game_id": "g", "secret_key": "s", "a": "x"}


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"multipart/form-data", b"application/jsonx"]
)
def test_other_media_types_are_not_read(media_type: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        open_body(b"{}", media_type)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{'a': 1}", b"{} {}", b'{"a": NaN}', b'{"a": 01}', b'{"a": "\\ud80"}',
     b'{"a": "\t"}', b'{"a": "\0"}', b"\xef\xbb\xbf", b"=1", b"a"],
)  # fmt: skip
def test_what_is_not_json_is_refused(content: bytes) -> None:
    assert problem(content).startswith("is not JSON: ")


@pytest.mark.parametrize("content", [b"[]", b"null", b"5", b'"a"'])
def test_json_that_is_no_object_is_refused(content: bytes) -> None:
    assert problem(content) == "must be a JSON object"


def test_bytes_that_are_not_utf_8_are_refused_wherever_they_are() -> None:
    assert problem(b'{"unknown": "\xff"}') == "is not UTF-8 at byte 13"
    assert problem(b"game_id=%ff", FORM) == "is not UTF-8"
    assert problem(b"secret_key=%f", FORM) == "has a broken percent escape"


def test_json_that_nests_100_000_deep_is_refused() -> None:
    assert problem(b'{"events": ' + b"[" * 100_000) == "nests too deep"


def test_the_rest_of_a_form_is_not_looked_at_before_the_sender_is_known() -> None:
    body = open_body(b"game_id=g&secret_key=s&a=%zz", FORM)
    assert body.game_id == "g"
    with pytest.raises(Malformed):
        body.fields()


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (b"a=1&b[c]=2", {"a": "1", "b": {"c": "2"}}),
        (b"events[9]=x&events[0][a]=y&events[10]=z", {"events": [{"a": "y"}, "x", "z"]}),
        (b"events[][a]=x&events[][a]=y", {"events": [{"a": "x"}, {"a": "y"}]}),
        (b'events=[{"a":1.10}]', {"events": [{"a": 1.10}]}),
        (b"events=[1", {"events": "[1"}),
        (b"events=" + b"[" * 100_000, {"events": "[" * 100_000}),
        (b"events[a]=x", {"events": {"a": "x"}}),
        (b'properties={"a":"b"}', {"properties": {"a": "b"}}),
        (b"properties[1]=a&properties[0]=b", {"properties": {"1": "a", "0": "b"}}),
        (b'user_id={"a":1}', {"user_id": '{"a":1}'}),
    ],
)  # fmt: skip
def test_a_form_becomes_one_json_object(form: bytes, fields: object) -> None:
    assert json.loads(open_body(form, FORM).fields()) == fields


def test_json_text_in_a_form_cannot_say_anything_beside_its_own_value() -> None:
    form = b'events=[],"user_id":"other"&user_id=me'
    assert json.loads(open_body(form, FORM).fields()) == {
        "events": '[],"user_id":"other"',
        "user_id": "me",
    }
