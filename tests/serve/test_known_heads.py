"""A head that is known is read as the parser reads it, whatever is done to it."""

import httptools
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.http.endpoint import Headers
from playsmart_gateway.http.preferences import by_name
from playsmart_gateway.serve.known_heads import MAX_HEAD_BYTES, MAX_HEADS, KnownHeads
from tests.support.examples import examples

LINE = "POST /ingest/events HTTP/1.1"
HOST, JSON = "Host: localhost", "Content-Type: application/json"
OTHERS = [
    JSON,
    "User-Agent: a game",
    "Content-Encoding: gzip",
    "Authorization: Basic eDp5",
    "X-Authorization: Bearer {token}",
    "X-Forwarded-Authorization: Bearer {token}",
    "X-Content-Length: {length}",
    "Note: Authorization: Bearer {token}",
    "Note: Content-Length: {length}",
    "content-length: {length}",
    "Transfer-Encoding: chunked",
    "X-Request-ID: mine",
    "Expect: 100-continue",
]
REQUIRED = ["Authorization: Bearer {token}", "Content-Length: {length}"]
TOKENS = st.sampled_from(["a.b.c", "abc", "a-b_c.d.e", "", " a", "a b", "a\tb", "a\0b", "ä", "a="])
BODIES = st.sampled_from([b"", b"{}", b"x" * 12, b"\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"])


class Parsed:
    """What the parser makes of bytes, if that is one whole request."""

    def __init__(self, data: bytes) -> None:
        self.url, self.body, self.is_whole = b"", b"", False
        self.raw: list[tuple[bytes, bytes]] = []
        self.count = 0
        self.method = b""
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
            self.method = parser.get_method()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_whole = False

    def on_message_begin(self) -> None:
        self.count += 1
        self.is_whole = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.raw.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = self.count == 1

    @property
    def headers(self) -> Headers:
        return by_name(self.raw)


def made(lines: list[str], token: str, body: bytes, length: str | None = None) -> bytes:
    length = str(len(body)) if length is None else length
    head = "\r\n".join([LINE, *lines, "", ""]).format(token=token, length=length)
    return head.encode("latin-1") + body


def learned(known: KnownHeads, data: bytes) -> bool:
    """Have it learned as the server does: what the parser took for one whole request."""
    parsed = Parsed(data)
    if parsed.is_whole:
        known.learn(data, parsed.url, parsed.headers)
    return parsed.is_whole


@st.composite
def heads(draw: st.DrawFn) -> list[str]:
    some = draw(st.lists(st.sampled_from(OTHERS), max_size=4))
    return draw(st.permutations([HOST, *REQUIRED, *some]))


@examples(1_000)
@given(st.data(), heads(), TOKENS, BODIES)
def test_what_is_read_of_a_known_head_is_what_the_parser_reads(
    data: st.DataObject, lines: list[str], token: str, body: bytes
) -> None:
    known = KnownHeads()
    learned(known, made(lines, "a.b.c", b"learned from"))
    length = data.draw(st.sampled_from([None] * 9 + ["0", "012", "+12", "12 ", "13", "2"]))
    sent = made(lines, token, body, length)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(sent) - 1))
        byte = data.draw(st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b":", b"x", b"\r\n"]))
        sent = sent[:place] + byte + sent[place + data.draw(st.integers(0, 1)) :]
    read = known.read(sent)
    if read is not None:
        parsed = Parsed(sent)
        assert parsed.is_whole
        headers = {key: value for key, value in parsed.headers.items() if key != b"content-length"}
        assert read == (parsed.url, headers, parsed.body)


def test_a_head_is_known_by_all_but_its_token_and_its_length() -> None:
    known = KnownHeads()
    for lines in ([HOST, JSON, *REQUIRED], [HOST, *reversed(REQUIRED), JSON], REQUIRED[1:]):
        sent = made(lines, "d.e.f", b"another body")
        assert known.read(sent) is None
        assert learned(known, made(lines, "a.b.c", b"{}"))
        read = known.read(sent)
        assert read is not None
        assert read[2] == b"another body"
        assert read[1].get(b"authorization", b"Bearer d.e.f") == b"Bearer d.e.f"


def test_a_return_more_at_the_end_of_a_head_is_for_the_parser_which_refuses_it() -> None:
    known = KnownHeads()
    for lines in ([HOST, *REQUIRED], [HOST, *reversed(REQUIRED)]):
        sent = made(lines, "a.b.c", b"{}")
        assert learned(known, sent)
        odd = sent.replace(b"\r\n\r\n", b"\r\r\n\r\n")
        assert not Parsed(odd).is_whole
        assert known.read(odd) is None


def test_a_token_that_makes_a_head_too_large_is_for_the_parser_which_refuses_that() -> None:
    known = KnownHeads()
    assert learned(known, made(REQUIRED, "a.b.c", b"{}"))
    assert known.read(made(REQUIRED, "a" * MAX_HEAD_BYTES, b"{}")) is not None
    assert known.read(made(REQUIRED, "a" * (MAX_HEAD_BYTES + 1), b"{}")) is None


def test_names_in_small_letters_will_do() -> None:
    known = KnownHeads()
    lines = ["host: localhost", "content-length: {length}", "authorization: Bearer {token}"]
    learned(known, made(lines, "a.b.c", b"{}"))
    assert known.read(made(lines, "d.e.f", b"{} ")) is not None


def test_what_will_not_come_again_or_is_long_is_not_remembered() -> None:
    known = KnownHeads()
    for more in ("X-Request-ID: 1", "Idempotency-Key: 1", "traceparent: 00-1-2-03"):
        lines = [HOST, *REQUIRED, more]
        learned(known, made(lines, "a.b.c", b"{}"))
        assert known.read(made(lines, "a.b.c", b"{}")) is None
    lines = [HOST, *REQUIRED, f"X-Filling: {'x' * MAX_HEAD_BYTES}"]
    learned(known, made(lines, "a.b.c", b"{}"))
    assert known.read(made(lines, "a.b.c", b"{}")) is None


def test_all_are_forgotten_when_they_are_too_many() -> None:
    known = KnownHeads()
    for number in range(MAX_HEADS + 1):
        learned(known, made([HOST, *REQUIRED, f"X-Number: {number}"], "a.b.c", b"{}"))
    assert known.read(made([HOST, *REQUIRED, "X-Number: 0"], "a.b.c", b"{}")) is None
    last = made([HOST, *REQUIRED, f"X-Number: {MAX_HEADS}"], "a.b.c", b"{}")
    assert known.read(last) is not None
