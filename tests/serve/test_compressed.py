"""Bodies in gzip, to a gateway in a process of its own: what they cost it, and what they count."""

import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.process import StartGateway
from tests.support.uploads import make_event, make_upload

MEGABYTE = 1_048_576
GZIP = {"content-encoding": "gzip"}


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1_024


def test_bombs_cost_no_memory(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__MAX_BODY_BYTES=str(MEGABYTE))
    bomb = gzip.compress(bytes(200 * MEGABYTE))

    def send(user: int) -> tuple[int, str]:
        answer = running.post(bomb, sub=f"user-{user}", headers=GZIP)
        return answer.status_code, answer.json()["error"]["message"]

    send(0)
    before = peak_memory(running.process.pid)
    with ThreadPoolExecutor(16) as senders:
        answers = set(senders.map(send, range(64)))
    assert answers <= {(413, "body_too_large"), (503, "too_many_bodies")}
    assert peak_memory(running.process.pid) - before < 64 * MEGABYTE, "64 bombs of 200 MB"
    assert running.post(make_upload("ada"), sub="ada").status_code == 202
    assert running.stop() == 0


def test_what_a_player_may_send_is_counted_as_it_was_before_it_was_compressed(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(INGEST__PLAYER_BYTES_PER_SECOND="1000")
    body = json.dumps(make_upload("ada", make_event(customdata={"text": "x" * 20_000}))).encode()
    packed = gzip.compress(body)
    assert len(packed) < 1_000 < len(body) / 10
    assert running.post(packed, sub="ada", headers=GZIP).status_code == 202
    assert running.post(packed, sub="ada", headers=GZIP).status_code == 429
    broken = gzip.compress(bytes(20_000))[:-1]
    assert running.post(broken, sub="eve", headers=GZIP).status_code == 400
    assert running.post(broken, sub="eve", headers=GZIP).status_code == 429
    assert running.settle()["stored"] == 1
    assert running.stop() == 0
