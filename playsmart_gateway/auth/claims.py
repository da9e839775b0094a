"""What the claims of a token may be: its times, its kind, and how they are printed."""

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MAX_TIME = 253_402_300_799
"""The last second that a four-digit year can name; later times in a token are nonsense."""

# Issuers tell tokens apart by claims of different names: PlaySmart's `kind`, `token_use`, `typ` ...
_KIND_CLAIMS = frozenset({"kind", "tokenkind", "tokentype", "tokenuse", "typ", "type", "use"})
_REFRESH_KINDS = frozenset({"refresh", "refreshtoken", "offline"})  # Keycloak's last longest
_NUMBERS = frozenset({int, float})
_not_letters = re.compile(r"[\W_]+")


def is_time(value: Any) -> bool:
    """Whether it is a number of seconds since 1970, up to ``MAX_TIME``."""
    # By exact type, as a bool is an int too; the range also keeps out infinity (1e999).
    return type(value) in _NUMBERS and 0 <= value <= MAX_TIME


def is_since(claims: Mapping[str, Any], since: float) -> bool:
    """Whether a token says that it was issued then or later."""
    issued_at: Any = claims.get("iat")
    return is_time(issued_at) and bool(issued_at >= since)


def says_refresh(claims: Mapping[str, Any]) -> bool:
    """Whether a claim of the kind of the token says so, however it is spelt: ``type: REFRESH``."""
    for name in _kind_claims(tuple(claims)):
        for kind in listed(claims[name]):
            if isinstance(kind, str) and _plain(kind) in _REFRESH_KINDS:
                return True
    return False


def listed(value: object) -> list[object]:
    """Return a list, or what is none as a list of one."""
    return value if isinstance(value, list) else [value]


def printed(seconds: float) -> str:
    """Return a time as people write it, in UTC and cut off behind the second."""
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


@lru_cache(maxsize=256)
def _kind_claims(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if _plain(name) in _KIND_CLAIMS)


@lru_cache(maxsize=256)
def _plain(text: str) -> str:
    return _not_letters.sub("", text).lower()
