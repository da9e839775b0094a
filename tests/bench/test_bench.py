import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from playsmart_gateway.dialects.playsmart.request import decode
from tests import ROOT
from tests.bench.generators import BenchError
from tests.bench.peers import read
from tests.bench.processes import Target, variables
from tests.bench.requests import PATH, Crowd
from tests.bench.table import human

QUICK = [sys.executable, "-m", "tests.bench", "--quick", "--events=1"]

PEER = [
    f"--peer=another=env PLAYSMART_SERVER__PORT={{port}} PLAYSMART_AUTH__SECRET={'x' * 32} "
    f"{sys.executable} -m tests.bench.target bare",
    f"--peer-path=another={PATH}",
] * bool(shutil.which("wrk"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*QUICK, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=180, check=False
    )


def test_the_quick_mode_yields_every_figure_and_a_picture(tmp_path: Path) -> None:
    """Says nothing of speed: a test machine is too noisy for that."""
    picture = tmp_path / "bench.png"

    done = run("--json", f"--plot={picture}", "--set=buffer.flush_interval_seconds=0.5", *PEER)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (size,) = report["sizes"]
    designs = {f"{each['design']} {each['players']}": each for each in size["designs"]}
    assert list(designs) == [
        "bare 100",
        "gateway 1",
        "gateway 100",
        "gateway, coins on 100",
        *(["another 100"] if PEER else []),
        "obvious 100",
    ]
    assert all(each["requests"] > 0 for each in designs.values())
    assert designs["gateway 1"]["of_fewest"] == 1
    assert designs["gateway 1"]["first"] is None, "one player's token is known at once"
    assert designs["gateway 100"]["first"]["requests"] > 0
    assert all(designs[each]["durable_events"] > 0 for each in ("gateway 100", "obvious 100"))
    assert size["sqlite"] > 0
    assert size["executemany"] > 0
    assert report["gateway"]["buffer"]["flush_interval_seconds"] == 0.5
    assert [each["design"] for each in report["sustained"]] == ["gateway", "gateway, coins on"]
    assert all(each["stored_events"] > 0 for each in report["sustained"])
    assert report["machine"]["cores"] >= 1
    assert report["generator"]
    (memory,) = report["measured"]["memory"]
    assert memory["buffered"] == 100_000
    assert memory["peak"] > memory["before"] > 0
    assert report["floors"][0]["value"] == 0, "nothing that was acknowledged is lost"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [("nonsense", "is not SECTION.KEY=VALUE"), ("buffer.max_event=1", "did you mean")],
)
def test_a_setting_that_no_gateway_has_stops_the_run_before_it_starts(
    setting: str, complaint: str
) -> None:
    done = run(f"--set={setting}")

    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_target_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)did not start.*auth\.algorithms"):
        Target("gateway", tmp_path, ['auth.algorithms=["RS256"]']).__enter__()


def test_a_target_that_nobody_stopped_is_reaped(tmp_path: Path) -> None:
    with Target("bare", tmp_path) as target:
        pid = target.pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_peer_is_sent_the_events_in_its_own_words() -> None:
    (plain,) = read(["one=serve --port {port}"], [], [])
    (other,) = read(["two=x"], ["two=/in"], ['two={"all":{events}}\n{lines}'])

    events = json.loads(plain.requests(2, 1)[0].body)
    whole, *lines = other.requests(2, 1)[0].body.splitlines()

    assert [each["type"] for each in events] == ["LevelCompleted", "AdImpression"]
    assert json.loads(whole) == {"all": events}
    assert [json.loads(each) for each in lines] == events
    assert (plain.path, other.path) == ("/", "/in")


@pytest.mark.parametrize(
    ("commands", "paths"), [(["nonsense"], []), (["=x"], []), (["one=x"], ["two=/in"])]
)
def test_a_peer_that_nobody_can_start_is_told(commands: list[str], paths: list[str]) -> None:
    with pytest.raises(BenchError, match=r"is not NAME=VALUE|is no peer"):
        read(commands, paths, [])


def test_of_many_players_each_has_a_request_of_their_own_and_a_good_token() -> None:
    crowd = Crowd(10, 3)

    assert [json.loads(each.body)["user_id"] for each in crowd] == crowd.names
    assert len(set(crowd.tokens)) == 3
    assert all(decode(each.body).count == 10 for each in crowd)


def test_settings_become_the_variables_that_configure_a_gateway() -> None:
    assert variables(["buffer.max_events=5", "storage.url=memory:"]) == {
        "PLAYSMART_BUFFER__MAX_EVENTS": "5",
        "PLAYSMART_STORAGE__URL": "memory:",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (999.4, "999"),
        (999.6, "1.00 k"),
        (9_996, "10.0 k"),
        (304_200, "304 k"),
        (1_450_000, "1.45 M"),
    ],
)
def test_numbers_have_three_figures(value: float | None, text: str) -> None:
    assert human(value) == text
