"""Answers questions of games from the files of the lake, in the process of a question.

They are asked in the words in which the store is: see ``questions.sources``. When an event was is
as it was known when it was written: the store may know better since.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

import duckdb

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake.columns import PREFIX
from playsmart_gateway.lake.manifest import File, Manifest, load
from playsmart_gateway.lake.place import Place, open_place
from playsmart_gateway.lake.query import TRIES, file_system, literal
from playsmart_gateway.questions.answers import Answer
from playsmart_gateway.questions.process import Question, answer, main
from playsmart_gateway.questions.sources import Piece, Query, Wanted

EVENTS_PER_PIECE = 250_000
"""Which are put in order at a time."""

ROWS_PER_TAKE = 5_000
MEMORY = "512MB"
THREADS = 2
_TIME = "strftime(make_timestamp({}), '%Y-%m-%dT%H:%M:%S.%fZ')"
_VIEW = f"""
    SELECT event_id, source, game_id, user_id, type, custom_event_name, customdata, run,
           {_TIME.format("epoch_us(received_at)")} AS received_at,
           {_TIME.format("epoch_us(coalesce(adjusted_at, occurred_at))")} AS adjusted_at,
           epoch_us(received_at) AS received_us
"""
_UPTO = f"SELECT {_TIME.format('max(received_us)')} FROM events WHERE event_id <= $1"  # noqa: S608


class Files:
    """The files that a manifest names, as ``questions.sources.Lake`` has them."""

    def __init__(self, place: Place, manifest: Manifest, db: duckdb.DuckDBPyConnection) -> None:
        self.position = manifest.position
        self._place = place
        self._manifest = manifest
        self._db = db
        settings = {"memory_limit": MEMORY, "temp_directory": "", "threads": f"{THREADS}"}
        for name, value in {**settings, "TimeZone": "UTC"}.items():
            db.execute(f"SET {name} = {literal(value)}")
        if not place.is_folder:
            db.register_filesystem(file_system(place))

    def pieces(self, query: Query, wanted: Wanted) -> Iterator[Piece]:
        """Yield what there is, by whole days: ids rise with them.

        Raises:
            LakeError: a file cannot be read.
        """
        days = wanted.first[:10], (wanted.last or "9999")[:10]
        files = [
            each
            for each in self._manifest.files
            if days[0] <= each.day <= days[1] and wanted.game in (None, each.game_id)
        ]
        by_day = groupby(sorted(files, key=lambda each: each.day), key=lambda each: each.day)
        some: list[File] = []
        try:
            for _, of_day in by_day:
                some += of_day
                if sum(each.events for each in some) >= EVENTS_PER_PIECE:
                    yield from self._of_days(some, query, wanted)
                    some = []
            if some:
                yield from self._of_days(some, query, wanted)
        except (duckdb.Error, OSError) as error:
            raise LakeError("files of the lake cannot be read") from error

    def _of_days(self, files: Sequence[File], query: Query, wanted: Wanted) -> Iterator[Piece]:
        after, end = min(each.first for each in files) - 1, max(each.last for each in files)
        count = 1 + sum(each.events for each in files) // EVENTS_PER_PIECE
        for number in range(1, count + 1):
            upto = after + (end - after) // (count - number + 1)
            some = [each for each in files if each.last > after and each.first <= upto]
            if some:
                self._show(some, wanted)
                self._db.execute(query.of_lake, [after, upto, wanted.game, *query.values])
                while rows := self._db.fetchmany(ROWS_PER_TAKE):
                    yield Piece(rows, None, is_of_lake=True)
                ((received,),) = self._db.execute(_UPTO, [upto]).fetchall()
                yield Piece((), received, is_of_lake=True)
            after = upto

    def _show(self, files: Sequence[File], wanted: Wanted) -> None:
        """Have these files be ``events``: of them what was received when it is wanted."""
        branches = []
        for number in {each.properties for each in files}:
            names = [each.name for each in files if each.properties == number]
            addresses = literal([self._place.address(each) for each in names])
            lifted = ", ".join(
                f'{literal(name)}, "{PREFIX}{name}"'
                for name in self._manifest.properties[number]
                if name in wanted.properties
            )
            said = f"CAST(json_object({lifted}) AS VARCHAR)" if lifted else "NULL"
            branches.append(f"{_VIEW}, {said} AS lifted FROM read_parquet({addresses})")
        when = f"received_us >= epoch_us(TIMESTAMP {literal(wanted.first[:-1])})"
        if wanted.last is not None:
            when += f" AND received_us < epoch_us(TIMESTAMP {literal(wanted.last[:-1])})"
        union = " UNION ALL ".join(branches)
        self._db.execute(
            f"CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM ({union}) WHERE {when}"  # noqa: S608
        )


async def answer_from_lake(question: Question) -> Answer:
    """Answer it in this process, from the lake at its ``lake_url`` and what is not in it yet.

    Raises:
        ConfigError: it makes no sense, or is of a store that cannot be asked.
        SinkUnavailable: the store cannot be read now.
        LakeError: the lake cannot be read now.
    """
    place = open_place(question.lake_url or "")
    for left in reversed(range(TRIES)):
        manifest = load(place) or Manifest()
        with contextlib.closing(duckdb.connect()) as db:
            try:
                return await answer(question, Files(place, manifest, db))
            except LakeError:  # a file was merged meanwhile, or all are away
                if not left:
                    raise
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main(answer_from_lake))
