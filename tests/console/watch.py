"""A browser that watches the inspector, in a thread."""

import json
import re
import socket
import threading
from typing import Any, Self

import httpx

from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import NO_TLS, RunningGateway


class Watch:
    """A stream of the inspector, read in a thread of its own."""

    def __init__(self, gateway: RunningGateway, query: str, headers: dict[str, str]) -> None:
        self.text = ""
        self.ended = threading.Event()
        self._client = httpx.Client(
            trust_env=False, verify=NO_TLS, timeout=PATIENCE_SECONDS, headers=headers
        )
        self._url = f"{gateway.url}/inspector/events{query}"

    def __enter__(self) -> Self:
        self._stream = self._client.stream("GET", self._url)
        self.answer = self._stream.__enter__()
        if self.answer.status_code != 200:
            self.answer.read()
            return self
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: self.of("hello") or None)
        return self

    def __exit__(self, *_: object) -> None:
        if self.answer.status_code == 200 and not self.ended.is_set():
            # Closing what another thread reads from is no way to end it.
            stream = self.answer.extensions["network_stream"]
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            self._thread.join(PATIENCE_SECONDS)
        self._stream.__exit__(None, None, None)
        self._client.close()

    def _read(self) -> None:
        try:
            for text in self.answer.iter_text():
                self.text += text
        except httpx.TransportError:
            pass
        self.ended.set()

    def of(self, kind: str) -> list[Any]:
        """The data of all events of that kind so far."""
        whole = self.text.rpartition("\n\n")[0] + "\n\n"
        found = re.findall(rf"^event: {kind}\ndata: (.*)\n\n", whole, re.MULTILINE)
        return [json.loads(data) for data in found]

    def requests(self, count: int) -> list[Any]:
        """Wait for so many requests and return all there are."""
        return wait_until(lambda: seen if len(seen := self.of("request")) >= count else None)

    def requests_and_dropped(self) -> int:
        """How many requests there were, told or left out."""
        dropped: list[int] = self.of("dropped")
        return len(self.of("request")) + max(dropped, default=0)

    def fates(self) -> dict[int, dict[str, Any]]:
        return {fate["id"]: fate for told in self.of("fate") for fate in told}

    def fate_of(self, request: dict[str, Any]) -> dict[str, Any]:
        return wait_until(lambda: self.fates().get(request["id"]))
