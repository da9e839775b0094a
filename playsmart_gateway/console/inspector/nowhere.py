"""Why a request reached no endpoint, and what its sender may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from playsmart_gateway.console.inspector.watcher import Seen

_LIKENESS = 0.6
_MAX_COMPARED = 100

_WHY = {
    "not_found:path": "no such path",
    "method_not_allowed": "the path is there, and takes another method",
    "too_slow": "the request did not come in time; see server.request_timeout_seconds",
    "head_too_large": "request line and headers come to more than 32 KiB",
    "malformed:http": "what came is not HTTP/1.1; TLS to a port without it looks so, too",
    "too_many_connections": "there are as many connections as there may be; see"
    " server.max_connections",
    "too_many_connections:address": "that address has as many connections as it may have; see"
    " server.max_connections_per_address",
    "too_large": "the body is larger than that path takes",
    "closing": "the gateway stops",
}


class Nowhere:
    """Knows the ``paths`` that there are; parameters of a route are in braces."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = {path.lower(): path for path in paths}

    def why(self, seen: Seen) -> str:
        """Say why, in a sentence; empty for a request that an endpoint answered."""
        path = seen.path
        if not seen.reason or (path in self._paths.values() and seen.method == "POST"):
            return ""
        if (why := _WHY.get(seen.reason)) is None:
            return ""
        if not path:
            return f"{why}; nothing more of the request is known"
        if seen.reason == "not_found:path" and (meant := self._meant(path)):
            return f"{why}; did you mean {meant}?"
        if seen.reason == "method_not_allowed":
            return f"{path} is there, and does not take {seen.method or 'that method'}"
        return why

    def _meant(self, path: str) -> str:
        asked = path[:_MAX_COMPARED].lower()
        found = get_close_matches(asked, self._paths, 1, _LIKENESS)
        return self._paths[found[0]] if found else ""
