import gzip
from itertools import chain
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Replay
from tests.load.bodies import BODIES


def test_a_file_may_be_plain_or_gzip_and_have_empty_lines(tmp_path: Path) -> None:
    text = b"\n".join([BODIES[0], b"", *BODIES[1:]]) + b"\n"
    plain, packed = tmp_path / "a.ndjson", tmp_path / "a.ndjson.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    for path in (plain, packed):
        replay = Replay.read(path)
        assert [replay.body(i) for i in range(replay.length)] == BODIES
        assert replay.users == ["anna", "ben", "carl"]
        assert [replay.events(i) for i in range(5)] == [1, 3, 2, 1, 1]


def test_the_lines_come_again_from_the_start() -> None:
    replay = Replay(BODIES)
    assert replay.body(6) == BODIES[1]
    assert replay.user(6) == "ben"


@pytest.mark.parametrize("connections", [1, 2, 3, 8])
def test_lanes_share_the_lines_and_keep_every_user_in_order(connections: int) -> None:
    replay = Replay(BODIES)
    lanes = replay.lanes(connections)
    assert len(lanes) == min(connections, 3)
    assert all(lane.connections == 1 for lane in lanes)
    sent = [[lane.request(n) for n in range(2 * len(lane.lines))] for lane in lanes]
    assert sorted(chain.from_iterable(sent)) == list(range(10))
    users = [{replay.user(i) for i in lane} for lane in sent]
    assert sum(map(len, users)) == 3
    assert all(lane == sorted(lane) for lane in sent)


def test_the_busiest_user_has_a_connection_of_their_own() -> None:
    lanes = Replay(BODIES).lanes(2)
    assert sorted(list(lane.lines) for lane in lanes) == [[0, 2, 4], [1, 3]]


@pytest.mark.parametrize("text", [b"", b"\n", b"[]", b'{"events":[]}', b"\xff", b'{"user_id":7}'])
def test_a_file_that_nobody_could_send_is_refused_by_name(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "bodies.ndjson"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=r"bodies\.ndjson"):
        Replay.read(path)


def test_a_missing_and_a_torn_file_are_refused_by_name(tmp_path: Path) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(BODIES[0] * 100)[:-20])
    for path in (tmp_path / "missing", torn):
        with pytest.raises(ConfigError, match=path.name):
            Replay.read(path)


def test_a_file_over_the_limit_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bodies.ndjson.gz"
    path.write_bytes(gzip.compress(BODIES[0] * 100))
    with pytest.raises(ConfigError, match=r"bodies\.ndjson\.gz is larger than 100 bytes"):
        Replay.read(path, max_bytes=100)
