"""What a phone of the campaign does besides what its client does, which has tests of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.phones.phone import Life, Phone
from tests.clients.scripted import Reply, ScriptedGateway, scripted_gateway
from tests.support.polling import wait_until


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with scripted_gateway() as listening:
        yield listening


def make_phone(gateway: ScriptedGateway, folder: Path, *, is_patient: bool = True) -> Phone:
    port = int(gateway.url.rpartition(":")[2])
    who = "player", "game", ["old", "new"]
    phone = Phone(Life(1, str(folder), "", port, *who, is_patient=is_patient, answer_seconds=30))
    for place in range(20):
        phone.track("AppOpen", {"n": place})
    return phone


def send_all(phone: Phone) -> None:
    phone.flush()
    wait_until(lambda: True if not phone.has_more else phone.flush() and None)


def test_tokens_are_tried_in_turn(gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.script(401)
    send_all(make_phone(gateway, tmp_path))
    assert [each.token for each in gateway.requests] == ["old", "new"]
    assert gateway.sent == [(0, 20), (0, 20)]


@pytest.mark.parametrize("status", [0, 500])
def test_who_is_patient_sends_a_file_again_as_it_was(
    gateway: ScriptedGateway, tmp_path: Path, status: int
) -> None:
    gateway.script(status)
    send_all(make_phone(gateway, tmp_path))
    assert gateway.sent == [(0, 20), (0, 20)]


def test_who_is_not_patient_halves_a_file_for_which_no_answer_came(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.script(0)
    send_all(make_phone(gateway, tmp_path, is_patient=False))
    assert gateway.sent == [(0, 20), (0, 10), (10, 10)]


def test_it_pauses_a_share_of_what_its_client_would(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.script(*[500] * 5)
    phone = make_phone(gateway, tmp_path)
    phone.flush()
    assert phone._quiet_until - phone._clock.monotonic() <= 2 * phone._life.pace


def test_it_waits_as_long_as_it_is_told(gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.script(Reply(503, headers={"Retry-After": "3600"}))
    phone = make_phone(gateway, tmp_path)
    phone.flush()
    phone.flush()
    assert len(gateway.requests) == 1


def test_each_request_is_on_a_connection_of_its_own(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    send_all(make_phone(gateway, tmp_path))
    assert gateway.requests[0].headers["connection"] == "close"
    assert gateway.asked_for_settings == 0
