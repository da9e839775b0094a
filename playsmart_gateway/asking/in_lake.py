"""Asks the lake and what is not in it yet, by ``lake.query``, which opens nothing else."""

import asyncio

from playsmart_gateway.asking.question import Answer, Page, Question, refused
from playsmart_gateway.errors import GatewayError
from playsmart_gateway.lake.place import open_place
from playsmart_gateway.lake.query import Limits, ask
from playsmart_gateway.stores.open import open_store

ROWS_PER_TAKE = 50


def answer(question: Question, lake_url: str) -> Answer:
    """Return the answer; every problem is in it."""
    try:
        return asyncio.run(_ask(question, lake_url))
    except (GatewayError, ValueError, OSError) as error:
        return refused(error)


async def _ask(question: Question, lake_url: str) -> Answer:
    asked = question.limits
    limits = Limits(asked.seconds, asked.rows, f"{asked.memory_bytes // 2**20}MiB")
    async with open_store(question.url, migrates=False).reader() as reader:
        found = await ask(open_place(lake_url), reader, question.sql, limits)
    page = Page(found.table.column_names, asked)
    page.answer.counted_up_to = f"event {found.position} of {found.end}"
    page.answer.is_whole = found.is_whole
    for batch in found.table.to_batches(max_chunksize=ROWS_PER_TAKE):
        columns = [each.to_pylist() for each in batch.columns]
        if not page.take(list(zip(*columns, strict=True))):
            break
    return page.answer
