"""Who may have tokens of the gateway's own, in a database."""

from typing_extensions import override

from playsmart_gateway.stores.contract import Accounts, Registered
from playsmart_gateway.stores.models import Account
from playsmart_gateway.stores.sql.database import Transaction

_COLUMNS = "user_id, email, password, created_at, tokens_not_before"
_ACCOUNT = f"SELECT {_COLUMNS} FROM accounts WHERE user_id = $1"  # noqa: S608 - constants
_BY_EMAIL = f"SELECT {_COLUMNS} FROM accounts WHERE email = $1"  # noqa: S608 - constants
_IS_KNOWN = """
    SELECT 1 FROM accounts WHERE user_id = $1
    UNION ALL SELECT 1 FROM players WHERE user_id = $1
    UNION ALL SELECT 1 FROM lynes_users WHERE user_id = $1
    LIMIT 1
"""
_REGISTER = f"INSERT INTO accounts ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5)"  # noqa: S608
_REVOKE = """
    UPDATE accounts SET tokens_not_before = $2 WHERE user_id = $1 AND tokens_not_before < $2
    RETURNING 1
"""
_REVOKED = """
    SELECT user_id, tokens_not_before FROM accounts
    WHERE tokens_not_before > created_at AND tokens_not_before > $1
    ORDER BY tokens_not_before DESC LIMIT $2
"""


class SqlAccounts(Accounts):
    """Keeps accounts in the table of that name; each call is a transaction of its own."""

    def __init__(self, reading: Transaction, writing: Transaction) -> None:
        self._reading = reading
        self._writing = writing

    @override
    async def register(self, account: Account) -> Registered:
        async with self._writing() as db:  # nobody else writes until it is committed
            if account.email is not None and await db.fetch(_BY_EMAIL, account.email):
                return Registered.KNOWN_EMAIL
            if await db.fetch(_IS_KNOWN, account.user_id):
                return Registered.KNOWN_PLAYER
            await db.fetch(
                _REGISTER, account.user_id, account.email, account.password,
                account.created_at, account.tokens_not_before,
            )  # fmt: skip
        return Registered.NOW

    @override
    async def account(self, user_id: str) -> Account | None:
        return await self._one(_ACCOUNT, user_id)

    @override
    async def account_with(self, email: str) -> Account | None:
        return await self._one(_BY_EMAIL, email)

    @override
    async def revoke(self, user_id: str, not_before: int) -> bool:
        async with self._writing() as db:
            await db.fetch(_REVOKE, user_id, not_before)
            return bool(await db.fetch(_ACCOUNT, user_id))

    @override
    async def revoked(self, since: int, limit: int) -> dict[str, int]:
        async with self._reading() as db:
            return {user_id: at for user_id, at in await db.fetch(_REVOKED, since, limit)}  # noqa: C416 - a Row is no tuple

    async def _one(self, query: str, value: str) -> Account | None:
        async with self._reading() as db:
            for row in await db.fetch(query, value):
                return Account(*row)
        return None
