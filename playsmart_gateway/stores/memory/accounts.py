"""Accounts in plain Python."""

from collections.abc import Callable

import msgspec
from typing_extensions import override

from playsmart_gateway.stores.contract import Accounts, Registered
from playsmart_gateway.stores.models import Account


class MemoryAccounts(Accounts):
    """Keeps accounts in a dict; ``is_known`` says of whom else there is anything."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._by_id: dict[str, Account] = {}

    @override
    async def register(self, account: Account) -> Registered:
        if account.email is not None and await self.account_with(account.email):
            return Registered.KNOWN_EMAIL
        if account.user_id in self._by_id or self._is_known(account.user_id):
            return Registered.KNOWN_PLAYER
        self._by_id[account.user_id] = account
        return Registered.NOW

    @override
    async def account(self, user_id: str) -> Account | None:
        return self._by_id.get(user_id)

    @override
    async def account_with(self, email: str) -> Account | None:
        return next((each for each in self._by_id.values() if each.email == email), None)

    @override
    async def revoke(self, user_id: str, not_before: int) -> bool:
        if (account := self._by_id.get(user_id)) is None:
            return False
        latest = max(account.tokens_not_before, not_before)
        self._by_id[user_id] = msgspec.structs.replace(account, tokens_not_before=latest)
        return True

    @override
    async def revoked(self, since: int, limit: int) -> dict[str, int]:
        found = {
            each.user_id: each.tokens_not_before
            for each in self._by_id.values()
            if each.tokens_not_before > max(each.created_at, since)
        }
        newest = sorted(found, key=found.__getitem__, reverse=True)[:limit]
        return {user_id: found[user_id] for user_id in newest}

    def email_of(self, user_id: str) -> str | None:
        """Return the email of a player who has one here."""
        account = self._by_id.get(user_id)
        return None if account is None else account.email

    def forget(self, user_id: str, *, dry_run: bool) -> int:
        """Forget an account; return how many there were."""
        there = user_id in self._by_id
        if not dry_run:
            self._by_id.pop(user_id, None)
        return int(there)
