"""Programs that answer badly, or not at all: each ends in a line of the scorecard, in time."""

import sys
import threading
import time
from pathlib import Path

import pytest

from playsmart_gateway.clients.conformance import Result, run
from playsmart_gateway.clients.conformance.adapter import MAX_STDERR_BYTES, Adapter, Broken
from tests.support.polling import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.process

ANSWERING = """
import json, sys
for line in sys.stdin:
    do = json.loads(line)["do"]
    print({answer}, flush=True)
"""


def result_of(program: str, *, case: str = "request", seconds: float = PATIENCE_SECONDS) -> Result:
    command = [sys.executable, "-S", "-c", program]
    (result,) = run(command, [case], seconds=seconds, jobs=1)
    return result


@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("", "the adapter ended (exit code 0) before it "),
        ("import sys; sys.stdin.readline(); sys.exit(3)", "the adapter ended (exit code 3) before"),
        (ANSWERING.format(answer="'Hello!'"), "the answer to init is 'Hello!', not an object"),
        (ANSWERING.format(answer="'{}'"), "the answer to init is '{}', not an object"),
        (
            ANSWERING.format(answer="""'{"ok": false, "error": "no such folder"}'"""),
            "init failed: no such folder",
        ),
        (
            ANSWERING.format(answer="""'{"ok": true}'"""),
            "expected flush to answer sent as a count; came {'ok': True}",
        ),
        (
            ANSWERING.format(answer="""'{"ok": true, "sent": 3, "left": 0, "status": 202}'"""),
            "expected what was not taken to be left; came 0 of 3; the last flush says",
        ),
    ],
)
def test_what_it_answers_fails_the_case(program: str, detail: str) -> None:
    result = result_of(program)
    assert (result.verdict, result.detail[: len(detail)]) == ("failed", detail)


@pytest.mark.parametrize("program", ["import time; time.sleep(600)", "while True: print('x' * 99)"])
def test_one_that_never_answers_is_given_up_and_killed(program: str) -> None:
    result = result_of(program, seconds=1.0)
    assert result.verdict == "failed"


def test_what_it_does_not_support_is_skipped_and_said() -> None:
    program = ANSWERING.format(
        answer="""'{"ok": true}' if do == "init" else '{"ok": false, "error": "unsupported"}'"""
    )
    result = result_of(program)
    assert (result.verdict, result.detail) == ("skipped", "the adapter does not support track")


def test_where_there_are_no_locks_nobody_has_to_share_a_folder() -> None:
    program = ANSWERING.format(answer="""'{"ok": true, "locks": false}'""")
    result = result_of(program, case="shared-folder")
    assert (result.verdict, result.detail[:12]) == ("skipped", "on its platf")


def test_the_end_of_what_it_wrote_to_standard_error_is_told() -> None:
    result = result_of("import sys; print('x' * 100_000, 'at last', file=sys.stderr)")
    assert (result.verdict, len(result.stderr)) == ("failed", 1_000)
    assert result.stderr.endswith("x at last")


def test_standard_error_without_an_end_is_bounded() -> None:
    program = "import os\nwhile True: os.write(2, b'x' * 65536)"
    with Adapter([sys.executable, "-S", "-c", program], 1.0) as adapter:
        with pytest.raises(Broken, match="no answer to state within 1 s"):
            adapter.ask({"do": "state"})
        wait_until(lambda: adapter.errors or None)
        adapter.kill()
        assert 0 < len(adapter.errors) <= MAX_STDERR_BYTES


def test_a_kill_takes_what_a_shell_has_started(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    with Adapter(["sh", "-c", f"(while :; do echo >> {ticks}; sleep 0.01; done) & wait"], 1.0):
        wait_until(lambda: ticks.exists() or None)

    def is_over() -> bool | None:
        size = ticks.stat().st_size
        time.sleep(0.2)
        return ticks.stat().st_size == size or None

    wait_until(is_over)


def test_an_interruption_ends_what_runs() -> None:
    """As Ctrl-C does: the exception leaves, and no case goes on behind it."""
    started = threading.Event()

    def interrupt(_: Result) -> None:
        started.set()
        raise KeyboardInterrupt

    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with pytest.raises(KeyboardInterrupt):
        run(command, ["request", "numbers", "order"], seconds=1, jobs=1, on_result=interrupt)
    assert started.is_set()


def test_a_program_that_is_not_there_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        run(["/nowhere/my-client"], ["request"], seconds=1, jobs=1)
