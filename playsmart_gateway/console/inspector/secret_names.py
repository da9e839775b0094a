"""Which keys hold secrets: by their whole name, not by a word somewhere in it.

``access_token``, ``X-Api-Key`` and ``clientSecret`` hold secrets; ``token_count``, ``level_secret``
and ``cookies`` are what games count. So a name is that of a secret if it has a word for one, and
every other word of it only says whose or which (``my``, ``old``, ``session``, ``2``). However the
words are joined makes no difference.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from playsmart_gateway.events.batch import LYNES, PLAYSMART, TEAK

MAX_NAME_LENGTH = 64
"""Characters of a name that are no dots, dashes and the like; no word list is that long."""

_NOUNS = (
    *("token", "jwt", "secret", "secretkey", "password", "passwd", "passphrase", "passcode", "pwd"),
    *("authorization", "authorisation", "credential", "cookie", "apikey", "accesskey"),
    *("privatekey", "signingkey", "encryptionkey", "sessionkey", "authkey", "email"),
    *("emailaddress", "mailaddress"),
)
_SEVERAL = ("secret", "password", "credential", "apikey", "email")
"""Which of them are secrets in the plural, too: tokens and cookies are what players collect."""

_WHOSE = (
    *("access", "refresh", "id", "auth", "oauth", "bearer", "session", "csrf", "xsrf", "api"),
    *("app", "application", "client", "user", "player", "account", "admin", "operator", "device"),
    *("push", "fcm", "apns", "firebase", "google", "apple", "facebook", "steam", "unity", "set"),
    *(PLAYSMART, TEAK, LYNES, "server", "service", "shared", "signing", "webhook", "hmac"),
    *("my", "your", "new", "old", "current", "previous", "temporary", "temp", "default", "main"),
    *("x", "http", "proxy", "forwarded", "db", "database", "sql", "aws", "key", "private", "otp"),
    *("value", "string", "text", "header", "hash", "plain", "raw", "login", "reset", "one", "time"),
    *("two", "factor", "web", "contact", "work", "home", "primary", "confirm", "confirmation"),
    *("repeat", "registration", "invite", "verification"),
)


def _longest_first(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_word = re.compile(
    rf"(?P<secret>(?:{_longest_first(_SEVERAL)})s$|{_longest_first(_NOUNS)})"
    rf"|{_longest_first(_WHOSE)}|\d+"
).match
_between_words = re.compile(r"[\W_]+")

HINT = (
    r"(?:secret|passw|passphrase|passcode|pwd|token|jwt|authori[sz]ation|credential|cookie"
    r"|(?:api|access|private|signing|encryption|session|auth)[_-]?key|e-?mail|mail[_-]?address)"
)
"""A pattern, without regard to case, of which something is in every name of a secret."""


@lru_cache(maxsize=4_096)
def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is a secret, or an address of somebody."""
    bare = _between_words.sub("", name).lower()
    if len(bare) > MAX_NAME_LENGTH:
        return False
    at, is_secret = 0, False
    while (word := _word(bare, at)) is not None:
        at, is_secret = word.end(), is_secret or word["secret"] is not None
    return is_secret and at == len(bare)
