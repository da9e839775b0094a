"""The parameters of identify: who plays, from where, and a link to work out."""

import unicodedata
from typing import NamedTuple

import msgspec

from playsmart_gateway.dialects.teak.deep_links import MAX_LINK_LENGTH
from playsmart_gateway.dialects.teak.geo import (
    country_of,
    is_timezone,
)
from playsmart_gateway.dialects.teak.parameters import (
    MAX_EMAIL_LENGTH,
    NULL,
    UNREADABLE,
    Email,
    Examiner,
    LongText,
    PresentName,
    Text,
    TimeZone,
)

DEFAULT_TIMEZONE = "UTC"


class Identify(NamedTuple):
    """A valid request. Empty texts were not sent; the time zone then is ``DEFAULT_TIMEZONE``."""

    user_id: str
    client_ip: str
    country_code: str
    timezone_id: str
    email: str
    deep_link: str

    @property
    def country(self) -> str:
        """The country of the address if one was sent, empty if unknown; else the given code."""
        return country_of(self.client_ip) if self.client_ip else self.country_code


class IdentifyParameters(msgspec.Struct):
    """A request as it may be sent; null and blank count as absent."""

    user_id: PresentName = NULL
    client_ip: Text = NULL
    country_code: msgspec.Raw = NULL
    timezone_id: TimeZone = NULL
    email: Email = NULL
    deep_link: LongText = NULL


_decode = msgspec.json.Decoder(IdentifyParameters).decode


def decode_identify(fields: bytes) -> Identify:
    """Read the request in ``fields``, see ``Body.fields``; an email comes out in normal form.

    Raises:
        Malformed: ``details`` has everything that is wrong with it.
    """
    try:
        sent = _decode(fields)
    except UNREADABLE:
        sent = IdentifyParameters()
    examiner = Examiner()
    user_id = examiner.name("user_id", sent.user_id, required=True)
    timezone_id = examiner.text("timezone_id", sent.timezone_id)
    if timezone_id and not is_timezone(timezone_id):
        examiner.refuse("timezone_id", f"{timezone_id} is not a recognized IANA timezone name")
    problems = len(examiner.problems)
    client_ip, country_code = examiner.place(sent.client_ip, sent.country_code)
    if not client_ip and not country_code and len(examiner.problems) == problems:
        examiner.refuse("location", "either client_ip or country_code must be provided")
    email = _email(examiner, examiner.text("email", sent.email, max_length=MAX_EMAIL_LENGTH))
    deep_link = examiner.text("deep_link", sent.deep_link, max_length=MAX_LINK_LENGTH)
    examiner.finish()
    return Identify(
        user_id, client_ip, country_code, timezone_id or DEFAULT_TIMEZONE, email, deep_link
    )


def _email(examiner: Examiner, text: str) -> str:
    """Refuse an address without an ``@``, as the contract does, and no other.

    Stricter rules cost real players their address: ``taro..yamada@docomo.ne.jp`` gets mail. In the
    normal form two spellings of one address are one: the domain is in lower case (RFC 5321 section
    2.4), and letters are composed.
    """
    local, at, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    if text and not at:
        examiner.refuse("email", "is not a valid email address")
    return local + at + domain.lower()
