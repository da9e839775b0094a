"""``Accounts``: who may have tokens, kept alike by every store."""

import pytest

from playsmart_gateway.stores.contract import Registered
from playsmart_gateway.stores.models import Account
from playsmart_gateway.stores.open import open_store
from tests.support.coin_batches import EVENTS, RULES, batch
from tests.support.loyalty import PROGRAM, event
from tests.support.stores import MakeSink

NOW = 1_800_000_000
ADA = Account("ada", "ada@example.org", "a hash", NOW, NOW)
NAMELESS = Account("a-phone", None, None, NOW, NOW)


async def test_what_is_registered_is_there_by_its_id_and_its_email(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        assert await store.accounts.account("ada") is None
        assert await store.accounts.account_with("ada@example.org") is None
        assert await store.accounts.register(ADA) is Registered.NOW
        assert await store.accounts.account("ada") == ADA
        assert await store.accounts.account_with("ada@example.org") == ADA


async def test_many_players_have_no_email(make_sink: MakeSink) -> None:
    other = Account("another-phone", None, None, NOW, NOW)
    async with make_sink() as store:
        for each in (NAMELESS, other):
            assert await store.accounts.register(each) is Registered.NOW
            assert await store.accounts.account(each.user_id) == each


async def test_an_email_has_one_account(make_sink: MakeSink) -> None:
    eve = Account("eve", ADA.email, "another hash", NOW, NOW)
    async with make_sink() as store:
        await store.accounts.register(ADA)
        assert await store.accounts.register(eve) is Registered.KNOWN_EMAIL
        assert await store.accounts.account("eve") is None
        assert await store.accounts.account_with("ada@example.org") == ADA


async def test_nobody_becomes_a_player_who_has_an_account(make_sink: MakeSink) -> None:
    thief = Account("ada", "eve@example.org", "another hash", NOW, NOW)
    async with make_sink() as store:
        await store.accounts.register(ADA)
        assert await store.accounts.register(thief) is Registered.KNOWN_PLAYER
        assert await store.accounts.account("ada") == ADA


async def test_nobody_becomes_a_player_who_has_events(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.write([batch(1, EVENTS["open"], user="ada")])
        assert await store.accounts.register(ADA) is Registered.KNOWN_PLAYER
        assert await store.accounts.account("ada") is None


async def test_nobody_becomes_a_player_who_has_points(url: str) -> None:
    async with open_store(url, RULES, PROGRAM) as store:
        await store.commit([event(1, user="ada")])
        assert await store.accounts.register(ADA) is Registered.KNOWN_PLAYER


async def test_a_player_is_revoked_once_and_for_all(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        for each in (ADA, NAMELESS):
            await store.accounts.register(each)
        assert await store.accounts.revoked(0, 10) == {}  # a registration revokes nothing
        assert await store.accounts.revoke("ada", NOW + 10)
        assert await store.accounts.revoke("ada", NOW + 5)  # a clock went back
        assert not await store.accounts.revoke("nobody", NOW)
        found = await store.accounts.account("ada")
        assert found is not None
        assert found.tokens_not_before == NOW + 10
        assert await store.accounts.revoked(0, 10) == {"ada": NOW + 10}
        assert await store.accounts.revoked(NOW + 10, 10) == {}


async def test_of_many_who_were_revoked_the_latest_are_told(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        for number in range(4):
            user = f"phone-{number}"
            await store.accounts.register(Account(user, None, None, NOW, NOW))
            await store.accounts.revoke(user, NOW + 1 + number)
        told = await store.accounts.revoked(0, 2)
        assert told == {"phone-3": NOW + 4, "phone-2": NOW + 3}


async def test_with_a_player_go_the_account_and_its_email(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.accounts.register(ADA)
        await store.accounts.register(NAMELESS)
        assert await store.names("ada") == {"ada", "ada@example.org"}
        assert await store.names("a-phone") == {"a-phone"}
        assert (await store.erase("ada"))["accounts"] == 1
        assert await store.accounts.account("ada") is None
        assert await store.accounts.account("a-phone") == NAMELESS
        assert await store.accounts.register(ADA) is Registered.NOW


async def test_a_password_is_in_no_text_of_an_account() -> None:
    assert "hash" not in f"{ADA} {ADA!r}"


async def test_what_one_connection_registers_another_knows(make_sink: MakeSink, url: str) -> None:
    if url == "memory:":
        pytest.skip("is of one process")
    async with make_sink() as one, make_sink() as other:
        assert await one.accounts.register(ADA) is Registered.NOW
        assert await other.accounts.register(ADA) is Registered.KNOWN_EMAIL
        assert await other.accounts.account("ada") == ADA
