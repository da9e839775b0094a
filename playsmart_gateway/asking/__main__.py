"""The process that answers one question: it reads it, bounds itself, and prints the answer."""

import os
import resource
import sys

import msgspec

from playsmart_gateway.asking.question import Answer, Limits, Question, too_large

SPARE_BYTES = 536_870_912
"""Of addresses, beside the memory that a question may take: the program itself, and drivers."""

FILE_BYTES = 67_108_864
"""A reader of SQLite may have to make the index of the log, and makes no other file."""

LAKE_SPARE_BYTES = 4_294_967_296
"""The same for DuckDB and pyarrow, which reserve addresses that they never use."""

NICENESS = 10
SPARE_SECONDS = 3


def bound(limits: Limits, *, of_lake: bool) -> None:
    """Let this process take no more than that, whatever it comes upon."""
    spare = LAKE_SPARE_BYTES if of_lake else SPARE_BYTES
    cores = (os.cpu_count() or 1) if of_lake else 1
    seconds = cores * int(limits.seconds) + SPARE_SECONDS
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes + spare),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard),) * 2)
    os.nice(NICENESS)


def answer(question: Question) -> Answer:
    """Return the answer of the store that is asked."""
    try:
        if question.lake_url is not None:
            from playsmart_gateway.asking import in_lake

            return in_lake.answer(question, question.lake_url)
        if question.url.startswith("postgresql://"):
            from playsmart_gateway.asking import in_postgres

            return in_postgres.answer(question)
        from playsmart_gateway.asking import in_sqlite

        return in_sqlite.answer(question)
    except MemoryError:
        return too_large(question.limits)


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    bound(asked.limits, of_lake=asked.lake_url is not None)
    sys.stdout.buffer.write(msgspec.json.encode(answer(asked)))
