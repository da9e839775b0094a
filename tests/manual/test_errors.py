"""Every message that a client, a start, doctor or /readyz can show has an entry in the manual."""

import ast
import re
from functools import cache

import pytest

from playsmart_gateway import errors
from playsmart_gateway.dialects.lynes.reply import ERRORS
from playsmart_gateway.http.error_body import CODES
from playsmart_gateway.manual import read
from tests.manual.messages import HOLE, PACKAGE, files, nodes, said, told, values

REFUSALS = [each.__name__ for each in errors.Refused.__subclasses__()]
SINK_ERRORS = ("SinkUnavailable", "SinkRejected", "SinkError")
STARTING = (
    "config", "build.py", "auth", "economy", "dialects", "stores", "stream", "serve",
    "pipeline", "lake/job.py", "lake/place.py", "cli/common.py", "cli/lake.py", "cli/serve.py",
    "cli/worker.py",
)  # fmt: skip
CHECKED = (
    "auth", "build.py", "config", "dialects/lynes/access.py", "economy/coins.py",
    "economy/points/program.py",    "stores/postgres/url.py", "stream/options.py",
)  # fmt: skip
NEVER = {
    "is a folder",
    "is no SQLite database",
    "operator.token",
    "storage.url: is a folder",
    "storage.url: is no SQLite database",
    "storage.url: … cannot open …: …; name another, or move it away",
}
"""What is read from the source and not said: a name there has one value here and another there."""

ANCHORS = (
    "answers-of-every-path",
    "details-of-a-playsmart-body",
    "details-of-a-token-a-size-or-a-limit",
    "answers-of-teaks-paths",
    "answers-of-lynes-paths",
    "the-configuration-and-the-start",
    "the-store",
    "what-doctor-finds",
    "lines-of-the-log",
)

ALSO = {
    "invalid_http": "serve/reading.py",
    "has more than six decimals": "build.py",
    "is the one of a manual, must be random": "build.py",
    "a parameter has a name that no setting can have": "stores/postgres/url.py",
    "more": "http/error_body.py",
    "stopping": "gateway.py",
    "gone": "peers/peer.py",
    "starting": "peers/peer.py",
    "silent": "peers/peer.py",
    "full": "gateway.py",
    "internal_error": "gateway.py",
}
"""What is not read from the source in the way of the others, and where it is."""


@cache
def read_messages() -> dict[str, set[str]]:
    """What can be said, by the section that has it; read by who runs these tests, not by all."""
    short_secrets = told(["build.py"], ["doubtful_secrets"])  # doctor's

    every_path = (
        {each.default_message for each in errors.Refused.__subclasses__()}
        | said(
            ["auth", "console", "http", "mcp", "pipeline", "serve", "dialects/playsmart"], REFUSALS
        )
        | said(["http"], ["error_body"], 1)
    )
    limited = "at most … a minute of one …; again in … s"
    playsmart = (
        said(["dialects/playsmart"], ["refuse"], 1)
        | said(["dialects/playsmart"], ["field"], 3)
        | said(["dialects/loose.py", "dialects/playsmart"], ["Detail"], 1)
    ) - {limited}
    explanations = {limited} | (
        said(["auth/tokens.py"], ["_invalid"], 1)
        | {f"{text} {HOLE}" for text in said(["auth/tokens.py"], ["_of_time"], 1)}
        | said(["errors.py", "pipeline/allowance.py", "serve"], ["Detail"], 1)
    )
    teak = (
        said(["dialects/teak"], ["Detail"], 1)
        | said(["dialects/teak/" + name for name in (
            "analytics.py", "identify.py", "parameters.py", "properties.py")], ["refuse"], 1)
        | said(["dialects/teak/forms.py"], ["_malformed"])
        | said(["dialects/teak/replies.py"], ["errors"])
        | values("dialects/teak/replies.py", "NOT_FOUND")
        | told(["dialects/teak/properties.py"], ["_rule"])
        | values("dialects/teak/replies.py", "message")
    )  # fmt: skip
    lynes = (
        {message for _, message in ERRORS.values()}
        | said(["dialects/lynes"], REFUSALS)
        | said(["dialects/lynes"], ["Detail", "wrong"], 1)
    )
    configuration = (
        (
            said(STARTING, ["ConfigError", "NotNow", "at_start"])
            | said([*CHECKED, "dialects/teak/apps.py"], ["append"])
            | said(["dialects/teak/apps.py"], ["_refuse"], 1)
            | {text for text in told(CHECKED) if " " in text}
        )
        - NEVER
        - short_secrets
    )
    store = said(["stores", "stream", "pipeline", "errors.py", "economy"], SINK_ERRORS) - NEVER
    doctor = (
        said(["cli/doctor.py"], ["Finding"], 2) | said(["dialects"], ["Doubt"], 1) | short_secrets
    )
    log = {
        re.sub(r"%[sdr]", HOLE, text)
        for text in said(
            [
                *("auth", "console", "dialects", "http", "peers", "pipeline", "serve", "stores"),
                *("stream", "gateway.py", "tasks.py", "output.py", "logs.py", "rate_limit.py"),
                *("cli/serve.py", "cli/worker.py"),
            ],
            ["error", "warning", "critical"],
        )
        | said(["dialects"], ["Doubt"])
    } - {"…", "…: …"}

    return {
        "answers-of-every-path": every_path,
        "details-of-a-playsmart-body": playsmart,
        "details-of-a-token-a-size-or-a-limit": explanations,
        "answers-of-teaks-paths": teak,
        "answers-of-lynes-paths": lynes,
        "the-configuration-and-the-start": configuration,
        "the-store": store,
        "what-doctor-finds": doctor,
        "lines-of-the-log": log,
    }


@cache
def written() -> list[str]:
    """Every text in the source: a message may be said in a way that is not read here."""
    return [
        node.value
        for file in files([""])
        for node in nodes(file)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def entries(anchor: str) -> set[str]:
    """The messages in the first column of a section's table."""
    rows = [line for line in read(f"operations#{anchor}").splitlines() if line.startswith("| `")]
    return {text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def has_words(text: str) -> bool:
    """Whether a message says more than a key and what is filled in."""
    if " " not in text:
        return HOLE not in text
    return bool(re.search("[a-zA-Z]", re.sub(r"^[\w.…-]+(: )?", "", text)))


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_message_has_an_entry(anchor: str) -> None:
    wanted = {text for text in read_messages()[anchor] if has_words(text)}
    assert wanted, "nothing was read from the source"
    assert wanted - entries(anchor) == set()


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_entry_is_of_a_message_that_there_is(anchor: str) -> None:
    strange = {
        text
        for text in entries(anchor) - read_messages()[anchor]
        if not any(words in text for words in ALSO)
        and not any(max(text.split(HOLE), key=len) in words for words in written())
    }
    assert strange == set()


@pytest.mark.parametrize(("words", "place"), ALSO.items())
def test_what_is_listed_by_hand_is_in_the_source(words: str, place: str) -> None:
    assert words in (PACKAGE / place).read_text("utf-8")
    assert words in read("operations#errors-by-message")


def test_every_code_is_told_with_its_status() -> None:
    section = re.sub(r"\s+", " ", read("operations#answers-of-every-path"))
    for status, code in CODES.items():
        assert f"{status} `{code}`" in section


def test_everything_is_read_from_what_is_written() -> None:
    assert {*ANCHORS} == {*read_messages()}
    configuration = read_messages()["the-configuration-and-the-start"]
    assert HOLE in "".join(configuration)
    assert "is … bytes long, must be … at least" in configuration
    assert "is the same link as another" in configuration
    assert "token_expired" in read_messages()["answers-of-every-path"]
