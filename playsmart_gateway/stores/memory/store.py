"""The twin for tests and dry runs: keeps the contract, and nothing beyond the process.

It pays coins in plain Python, event by event, so it is also what other sinks are compared with.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Self

import msgspec
from typing_extensions import override

from playsmart_gateway.economy.coins import (
    CUSTOM,
    EVENT_TRIGGER,
    LEVEL_COMPLETE,
    LEVEL_COMPLETED,
    Rule,
    Trigger,
)
from playsmart_gateway.economy.points import Award, Program
from playsmart_gateway.errors import AdjustmentRefused, SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    TEAK,
    Batch,
    first_event_id,
)
from playsmart_gateway.events.row import Row, decode
from playsmart_gateway.events.sessions import (
    INSTALLED_PLACE,
    session_of,
)
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.learned import Buried, Kept
from playsmart_gateway.stores.memory.accounts import MemoryAccounts
from playsmart_gateway.stores.memory.clearing import clear
from playsmart_gateway.stores.memory.events import (
    MemoryEvents,
    printed,
    printed_time,
)
from playsmart_gateway.stores.memory.points import MemoryPoints
from playsmart_gateway.stores.memory.teak import MemoryApps
from playsmart_gateway.stores.models import (
    ActionStatistics,
    Audited,
    Cause,
    CoinTransaction,
    DeadLetter,
    ForgottenRuns,
    Outcome,
    Player,
    Statistics,
    Written,
)
from playsmart_gateway.stores.readers import Reader


class MemorySink(MemoryApps, MemoryEvents, Store, Reader):
    """Stores batches in a dict; it decodes the rows as a database would, so bad rows are found.

    It is its own reader.
    """

    damage: SinkUnavailable | None = None
    log_bytes = 0
    learned = None

    def __init__(self, rules: Sequence[Rule] = (), program: Program | None = None) -> None:
        MemoryApps.__init__(self)
        MemoryEvents.__init__(self)
        self._points = MemoryPoints(program or Program())
        self.accounts = MemoryAccounts(self._is_known)
        self.dead_letters: dict[tuple[str, int], tuple[Batch, str]] = {}
        self.profiles: dict[str, Player] = {}
        self.ledger: list[CoinTransaction] = []
        self._rules = {rule.game_id: rule for rule in rules}
        self._custom_events: Counter[tuple[str, str]] = Counter()
        self._coin_days: Counter[tuple[str, str, str]] = Counter()

    @property
    @override
    def points(self) -> MemoryPoints:
        return self._points

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    @override
    async def write(self, batches: Sequence[Batch]) -> Written:
        stored = 0
        fresh = {batch.key: batch for batch in batches if batch.key not in self.batches}
        claimed = self.runs.claim(list(fresh.values()), self.dead_letters)
        new = _parsed(claimed.batches)
        conflicts = self.runs.conflicts(claimed.repeats)
        self.runs.write_down(claimed)
        for name, (batch, rows) in new.items():
            self._last_batch_id += 1
            self.batch_ids.append(self._last_batch_id)
            if batch.source == PLAYSMART:
                self._take_notice(batch, rows)
            kept: list[Row | None] = [*rows]
            session = session_of(batch)
            if session is not None and not self.track(session) and session.installs:
                del kept[INSTALLED_PLACE]
            self.batches[name] = batch, kept
            stored += len(kept)
        duplicate = sum(batch.count for batch in batches) - stored
        return Written(stored, duplicate, conflicts)

    @override
    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        new = [batch for batch in batches if batch.key not in self.batches]
        self._points.require_known(new)
        for batch in new:
            written = await MemorySink.write(self, [batch])  # a double may have its own
            self._points.award(batch, self._last_batch_id if written.stored else None)
        return [self._points.awarded(batch) for batch in batches]

    @override
    async def trial(self, batches: Sequence[Batch]) -> None:
        _parsed(batches)

    @override
    async def bury(self, batch: Batch, reason: str) -> None:
        if batch.key in self.dead_letters:
            return
        claimed = self.runs.claim([batch], ())
        self.runs.write_down(claimed)
        (batch,) = claimed.batches
        if batch.count or not batch.run:
            self.dead_letters[batch.key] = (msgspec.structs.replace(batch, run=b""), reason)

    @override
    async def buried(self) -> list[DeadLetter]:
        return [
            DeadLetter(
                *name, reason, batch.source, batch.game_id, batch.user_id,
                printed(batch.received_at), batch.count, len(batch.rows), "",
            )
            for name, (batch, reason) in self.dead_letters.items()
        ]  # fmt: skip

    @override
    async def newest_buried(
        self, limit: int, *, game_id: str | None = None, reason: str | None = None
    ) -> list[DeadLetter]:
        fitting = [
            each
            for each in await self.buried()
            if game_id in (None, each.game_id) and reason in (None, each.reason)
        ]
        return fitting[::-1][:limit]

    @override
    async def all_learned(self) -> Kept:
        return Kept(0, 0, {})

    @override
    async def buried_by_reason(self) -> list[Buried]:
        letters: dict[tuple[str, str], list[int]] = {}
        for batch, reason in self.dead_letters.values():
            letters.setdefault((batch.game_id, reason), []).append(batch.count)
        found = [Buried(*name, len(each), sum(each), "", "") for name, each in letters.items()]
        return sorted(found, key=lambda each: (-each.letters, each.game_id, each.reason))

    @override
    async def rules_in_force(self) -> list[Rule]:
        return list(self._rules.values())

    @override
    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        found = self.dead_letters.get((journal, sequence))
        return None if found is None else found[0]

    @override
    async def replay(self, journal: str, sequence: int) -> Written | None:
        batch = await self.buried_batch(journal, sequence)
        if batch is None:
            return None
        written = await self.write([batch])
        del self.dead_letters[journal, sequence]
        return written

    @override
    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        if (player := self.profiles.get(user_id)) is None:
            raise AdjustmentRefused("no player goes by that id")
        if amount < 0 and player.coins_balance + amount < 0 and not force:
            raise AdjustmentRefused("more than the balance")
        self._last_batch_id += 1
        entry_id = first_event_id(self._last_batch_id)
        return self._enter(entry_id, user_id, None, None, amount, reason)

    @override
    async def names(self, user_id: str) -> set[str]:
        emails = [email for key, email in self.emails.items() if key[1] == user_id]
        return {user_id, *filter(None, [self.accounts.email_of(user_id), *emails])}

    @override
    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        theirs = {event.event_id for event in self._all() if event.user_id == user_id}
        kept = [each for each, _ in (*self.batches.values(), *self.dead_letters.values())]
        games = {batch.game_id for batch in kept if batch.user_id == user_id}
        runs = self.runs.erase(user_id, games, dry_run=dry_run)
        accounts = self.accounts.forget(user_id, dry_run=dry_run)
        erased = {"event_rows": len(theirs), "runs": runs, "accounts": accounts}
        if dry_run:
            return erased
        for batch_id, (batch, rows) in zip(self.batch_ids, self.batches.values(), strict=True):
            for place in range(len(rows)):
                if first_event_id(batch_id) + place in theirs:
                    rows[place] = None
            if batch.user_id == user_id:
                batch.user_id = ""
        self.profiles.pop(user_id, None)
        self.ledger = [entry for entry in self.ledger if entry.user_id != user_id]
        for key in [key for key in self._custom_events if key[0] == user_id]:
            del self._custom_events[key]
        for day in [day for day in self._coin_days if day[0] == user_id]:
            del self._coin_days[day]
        self.forget(user_id)
        self._points.forget(user_id)
        return erased

    @override
    async def clear(self, traces: Traces, *, dry_run: bool = False) -> dict[str, int]:
        return clear(self, traces, dry_run=dry_run)

    async def scrub(self, *, rewrite: bool = True) -> None:
        """See ``Upkeep.scrub``: there are no files."""

    @override
    async def forget_runs(self, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
        return self.runs.forget(before, after, limit)

    async def sync(self) -> None:
        """Memory survives no power cut, and promises none."""

    @override
    async def sync_commits(self) -> None:
        pass

    @override
    def reader(self) -> Self:
        return self

    def rollups(self) -> None:
        """See ``Store.rollups``: there are none."""

    @override
    async def player(self, user_id: str) -> Player | None:
        return self.profiles.get(user_id)

    @override
    async def coin_transactions(
        self, user_id: str, *, before: int | None = None, limit: int
    ) -> list[CoinTransaction]:
        mine = [entry for entry in self.ledger if entry.user_id == user_id]
        older = [entry for entry in mine if before is None or entry.id < before]
        return older[::-1][:limit]

    @override
    async def causes(self, entry_ids: Sequence[int]) -> dict[int, Cause]:
        found = {}
        for batch_id, (batch, rows) in zip(self.batch_ids, self.batches.values(), strict=True):
            for place, row in enumerate(rows):
                event_id = first_event_id(batch_id) + place
                if row is not None and event_id in entry_ids:
                    name, when = row.custom_event_name, printed_time(row.occurred_at)
                    rule = self._rules[batch.game_id]
                    found[event_id] = Cause(row.type, name, when, row.draw, rule)
        return found

    @override
    async def outcomes(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outcome]:
        paid = Counter[int]()
        for entry in self.ledger:
            paid[entry.id // MAX_EVENTS_PER_BATCH] += entry.amount
        ids = zip(self.batches, self.batch_ids, strict=True)
        return {key: Outcome(self.batches[key][0].count, paid[n]) for key, n in ids if key in names}

    @override
    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        found: dict[tuple[str, str], Statistics] = {}
        for batch, rows in self.batches.values():
            if batch.source == TEAK and batch.game_id == app_id:
                for row in filter(None, rows):
                    data = json.loads(bytes(row.customdata), parse_float=Decimal)
                    key = row.type, data.get("country_code", "")
                    sums = found.setdefault(key, Statistics())
                    count, value, squares = (
                        data.get(name, 1) for name in ("event_count", "value", "sum_of_squares")
                    )
                    sums.add(int(count), Decimal(value), Decimal(squares))
        return [ActionStatistics(*key, found[key]) for key in sorted(found)]

    async def audit(self, max_events: int) -> Audited:
        """See ``Reader.audit``: others are compared with what is here."""
        return Audited(0, self._last_batch_id, self._last_batch_id)

    @property
    def rows(self) -> list[Row]:
        """Every stored row, in the order in which it was written."""
        return [row for _, rows in self.batches.values() for row in rows if row is not None]

    def _is_known(self, user_id: str) -> bool:
        return user_id in self.profiles or self._points.knows(user_id)

    def _take_notice(self, batch: Batch, rows: Sequence[Row]) -> None:
        seen_at = printed(batch.received_at)
        player = self.profiles.get(batch.user_id, Player(batch.user_id, first_seen_at=seen_at))
        self.profiles[batch.user_id] = msgspec.structs.replace(
            player,
            first_seen_at=min(player.first_seen_at or seen_at, seen_at),
            last_seen_at=max(player.last_seen_at or seen_at, seen_at),
        )
        rule = self._rules.get(batch.game_id, Rule(batch.game_id))
        for place, row in enumerate(rows):
            self._count_activity(batch.user_id, row)
            event_id = first_event_id(self._last_batch_id) + place
            if row.type == LEVEL_COMPLETED:
                award, trigger = rule.level_award(row.draw), LEVEL_COMPLETE
            elif row.type == CUSTOM and rule.trigger_threshold:
                self._custom_events[batch.user_id, batch.game_id] += 1
                count = self._custom_events[batch.user_id, batch.game_id]
                award, trigger = rule.trigger_award(row.draw, count), EVENT_TRIGGER
            else:
                continue
            if rule.max_per_day:
                day = batch.user_id, batch.game_id, seen_at[:10]
                award = rule.capped(award, self._coin_days[day])
                self._coin_days[day] += award
            if award:
                self._enter(event_id, batch.user_id, batch.game_id, trigger, award, None)

    def _count_activity(self, user_id: str, row: Row) -> None:
        player = self.profiles[user_id]
        if row.type == "AppOpen":
            player = msgspec.structs.replace(player, sessions=player.sessions + 1)
        if row.type == "GameEnd":
            games = player.total_games_played + 1
            player = msgspec.structs.replace(player, total_games_played=games)
            score = (json.loads(bytes(row.customdata)) or {}).get("score")
            if isinstance(score, int | float) and not isinstance(score, bool) and _is_finite(score):
                best = score if player.best_score is None else max(player.best_score, score)
                player = msgspec.structs.replace(player, best_score=best, last_score=score)
        self.profiles[user_id] = player

    def _enter(
        self,
        entry_id: int,
        user_id: str,
        game_id: str | None,
        trigger: Trigger | None,
        amount: int,
        reason: str | None,
    ) -> CoinTransaction:
        player = self.profiles[user_id]
        balance = player.coins_balance + amount
        entry = CoinTransaction(
            id=entry_id,
            user_id=user_id,
            game_id=game_id,
            type="earn" if amount > 0 else "deduct",
            trigger=trigger,
            amount=abs(amount),
            balance_before=player.coins_balance,
            balance_after=balance,
            event_id=None if trigger is None else entry_id,
            created_at=printed(time.time_ns() // 1_000),
            reason=reason,
        )
        self.ledger.append(entry)
        self.profiles[user_id] = msgspec.structs.replace(player, coins_balance=balance)
        return entry


def _parsed(batches: Sequence[Batch]) -> dict[tuple[str, int], tuple[Batch, list[Row]]]:
    try:
        return {batch.key: (batch, decode(batch.rows)) for batch in batches}
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SinkRejected("rows that are not JSON arrays", certain=True) from error


def _is_finite(score: float) -> bool:
    return math.isfinite(score) if isinstance(score, float) else abs(score) < 10**308
