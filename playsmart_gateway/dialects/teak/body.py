"""A request body, read in two steps: who sends it, and, once the sender is believed, the rest.

Nobody without the secret of an app makes us do more than find the credentials.
"""

import re
from typing import NamedTuple

import msgspec

from playsmart_gateway.dialects.loose import decode_loosely, mended, without_mark
from playsmart_gateway.dialects.teak import forms
from playsmart_gateway.dialects.teak.parameters import NULL, UNREADABLE, read_name
from playsmart_gateway.errors import Detail, Malformed, UnsupportedMedia

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"


class _Head(msgspec.Struct):
    game_id: msgspec.Raw = NULL
    secret_key: msgspec.Raw = NULL


_looks_like_a_form = re.compile(rb"\s*[A-Za-z0-9_.%\[\]+-]+=").match
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(str).decode
_skim = msgspec.json.Decoder(msgspec.Raw).decode


class Body(NamedTuple):
    """A body of which only the credentials have been read; empty when absent or not strings."""

    game_id: str
    secret_key: str
    content: bytes
    is_form: bool

    def fields(self) -> bytes:
        """Return everything that was sent as the text of one JSON object.

        Raises:
            Malformed: the form cannot be read; of JSON ``open_body`` has made sure.
        """
        if not self.is_form:
            return self.content
        fields = forms.parse(self.content)
        if "events" in fields:
            fields["events"] = forms.listed(fields["events"])
        for name in ("events", "properties", "client"):
            if isinstance(text := fields.get(name), str):
                content = mended(text.encode())
                if _is_json(content):
                    fields[name] = msgspec.Raw(content)
        return msgspec.json.encode(fields)


def open_body(content: bytes, media_type: bytes | None) -> Body:
    """Find the credentials of a body with this ``Content-Type``; none counts as JSON.

    In a form, ``game_id`` and ``secret_key`` have to be spelled without escapes. JSON is mended
    (see ``loose``) where it has to be.

    Raises:
        UnsupportedMedia: it is neither JSON nor a form.
        Malformed: it is not UTF-8, not JSON, no object, the other of JSON and form, or its
            credentials are broken escapes.
    """
    media_type = (media_type or JSON).partition(b";")[0].strip().lower()
    if media_type == FORM:
        return _open_form(without_mark(content))
    if media_type != JSON:
        raise UnsupportedMedia
    try:
        head = decode_loosely(content, _decode_head, path="body")
    except Malformed:
        if _looks_like_a_form(content):
            raise _sent_as("a form", FORM) from None
        content, sent = mended(content), content
        if content == sent:
            raise
        head = decode_loosely(content, _decode_head, path="body")
    return Body(_name(head.game_id), _text(head.secret_key), content, False)


def _open_form(content: bytes) -> Body:
    # No form has line breaks; files that curl sends with --data-binary do.
    content = content.translate(None, b"\r\n")
    padded = b"&" + content
    body = Body(_last(padded, "game_id"), _last(padded, "secret_key"), content, True)
    if not body.game_id and content.lstrip().startswith((b"{", b"[")):
        raise _sent_as("JSON", JSON)
    return body


def _sent_as(kind: str, media_type: bytes) -> Malformed:
    problem = f"is {kind}, which needs the Content-Type {media_type.decode()}"
    wrong = Detail("body", problem)
    return Malformed(details=[wrong], told=wrong.text)


def _last(padded: bytes, name: str) -> str:
    """Return the value of the last field of this name without looking at the other fields."""
    start = padded.rfind(b"&%b=" % name.encode())
    if start < 0:
        return ""
    value = forms.parse(padded[start + 1 :].partition(b"&")[0])[name]
    return str(value)


def _name(raw: msgspec.Raw) -> str:
    return read_name(raw) or ""


def _text(raw: msgspec.Raw) -> str:
    try:
        return _decode_text(raw)
    except msgspec.MsgspecError:
        return ""


def _is_json(text: bytes) -> bool:
    try:
        _skim(text)
    except UNREADABLE:
        return False
    return True
