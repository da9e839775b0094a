"""The process of a question takes no more memory than it may, and what asks is told so."""

from datetime import date
from pathlib import Path

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.questions.asked import Report
from playsmart_gateway.questions.process import Desk

pytestmark = pytest.mark.process

HUNGRY = """
import sys
from playsmart_gateway.questions.process import main

async def answered(question):
    return b"x" * {size}

sys.exit(main(answered))
"""


@pytest.mark.parametrize(("size", "is_told"), [(3 * 2**30, True), (100, False)])
async def test_a_question_that_takes_all_memory_ends_and_is_told(
    size: int, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hungry.py").write_text(HUNGRY.format(size=size))
    monkeypatch.chdir(tmp_path)
    desk = Desk("sqlite:///none.db", module="hungry")
    asked = Report(first=date(2026, 3, 2), last=date(2026, 3, 3))
    if is_told:
        with pytest.raises(SinkUnavailable, match="too much memory"):
            await desk.ask(asked)
    else:
        assert len(await desk.ask(asked)) > size
