"""Deep links: which link is managed, and which template it stands for; see ``templates``."""

import re
from collections.abc import Mapping, Set
from decimal import Decimal
from urllib.parse import urlsplit

MAX_LINK_LENGTH = 2_048
"""Characters of a link before it is rendered."""

Property = str | int | Decimal
"""What a template can name."""

_has_teak_scheme = re.compile(r"teak[a-z0-9+.-]*:", re.ASCII | re.IGNORECASE).match


def short_link(link: str) -> tuple[str, str] | None:
    """Return the host and path of an HTTP link, without what should not tell two of them apart.

    The host is in lower case; the path has no slash at the end, no query and no fragment.
    """
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return host, parts.path.rstrip("/")


def resolve(link: str, link_domains: Set[str], links: Mapping[str, str]) -> str | None:
    """Return the template that a managed link stands for; None for any other link.

    A link whose scheme begins with ``teak`` is its own template. One on a link domain is looked
    up in ``links`` by ``host/path``, then by ``/path`` alone, both as ``short_link`` writes them.
    """
    if _has_teak_scheme(link):
        return link
    short = short_link(link)
    if short is None or short[0] not in link_domains:
        return None
    host, path = short
    return links.get(host + path) or links.get(path)


def holds_markup(template: str) -> bool:
    """Whether there is anything to render."""
    return "{{" in template or "{%" in template
