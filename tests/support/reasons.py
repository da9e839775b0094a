"""Every reason for which a request is refused, read from the classes that there are."""

from collections.abc import Iterator

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.errors import Refused, Unauthenticated

ALWAYS_CAUSED = (Unauthenticated.tag, "forbidden")
"""Of these no request is refused without saying more."""


def every_reason() -> set[tuple[str, int]]:
    """Each word, and the status of its answer."""
    assert issubclass(replies.UnknownApp, Refused), "those of Teak are among them, once loaded"
    found = set()
    for kind in kinds_of_refusals():
        found |= {(f"{kind.tag}:{cause}", kind.status) for cause in kind.causes}
        if kind.tag not in ALWAYS_CAUSED:
            found.add((kind.tag, kind.status))
    return found


def kinds_of_refusals(of: type[Refused] = Refused) -> Iterator[type[Refused]]:
    """All classes of refusals."""
    for each in of.__subclasses__():
        yield each
        yield from kinds_of_refusals(each)
