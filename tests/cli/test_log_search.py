"""What ``trace`` reads of a log, in either form and whatever is put before its lines."""

import logging
from typing import Any

import pytest

from playsmart_gateway.cli.log_search import ACCESS, Request, search
from playsmart_gateway.logs import ConsoleFormatter, JsonFormatter, fields

ONE, TWO = "11" * 16, "22" * 16
FORMS = pytest.mark.parametrize("form", [ConsoleFormatter(), JsonFormatter()])


def line(form: logging.Formatter, name: str, text: str, **values: Any) -> str:
    record = logging.LogRecord(name, logging.INFO, "x.py", 1, text, (), None)
    record.__dict__.update(fields(**values))
    return f"Nov 28 21:00:00 host playsmart-gateway[7]: {form.format(record)}\n"


def answer(form: logging.Formatter, request_id: str, status: int, **more: Any) -> str:
    values = {"method": "POST", "route": "/x", "status": status, "ms": 1.5}
    return line(form, ACCESS, "answered", **values, request_id=request_id, **more)


def flushed(form: logging.Formatter, *names: str) -> str:
    ends = " ".join(
        f"{key}={name}" for key, name in zip(("first", "last") * 9, names, strict=False)
    )
    return line(form, "playsmart_gateway.pipeline.flusher", f"flushed events=3 left=0 {ends}")


@FORMS
def test_a_request_leads_to_its_batch_and_that_to_its_flush(form: logging.Formatter) -> None:
    log = [
        "another program's line\n",
        answer(form, "r-1", 202, batch=f"{ONE}-7", events=2, worker=1),
        answer(form, "r-2", 202, batch=f"{ONE}-8", events=1),
        flushed(form, f"{TWO}-1", f"{TWO}-9", f"{ONE}-5", f"{ONE}-7"),
        flushed(form, f"{ONE}-8", f"{ONE}-8"),
    ]
    said = search(log, "r-1")
    (request,) = said.requests
    assert request.time
    assert request == Request(202, request.time, "POST", "/x", 1.5, f"{ONE}-7")
    assert len(said.done[f"{ONE}-7"]) == 1
    assert said.done[f"{ONE}-7"][0].startswith("flushed at 20")
    assert said.answers == 2
    by_name = search(log, f"{ONE}-8")
    assert [each.batch for each in by_name.requests] == [f"{ONE}-8"]
    assert len(by_name.done[f"{ONE}-8"]) == 1


@FORMS
def test_a_flush_that_is_told_before_the_answer_counts_as_well(form: logging.Formatter) -> None:
    log = [flushed(form, f"{ONE}-1", f"{ONE}-3"), answer(form, "r-1", 202, batch=f"{ONE}-2")]
    assert len(search(log, "r-1").done[f"{ONE}-2"]) == 1


@FORMS
def test_a_refusal_and_a_burial_are_told(form: logging.Formatter) -> None:
    text = f"buried one batch of 2 events as dead letters: a trigger (x) batch={ONE}-4"
    log = [
        answer(form, "r-1", 503, reason="buffer_full"),
        line(form, "playsmart_gateway.pipeline.flusher", text),
    ]
    (request,) = search(log, "r-1").requests
    assert (request.status, request.reason, request.batch) == (503, "buffer_full", "")
    assert search(log, f"{ONE}-4").done[f"{ONE}-4"][0].startswith("buried at ")


@FORMS
def test_an_id_says_nothing_but_itself(form: logging.Formatter) -> None:
    evil = f'a"batch={ONE}-1\\status=500'
    log = [answer(form, evil, 202, batch=f"{TWO}-1"), answer(form, "r", 400, reason="x")]
    (request,) = search(log, evil).requests
    assert (request.status, request.batch) == (202, f"{TWO}-1")
    assert search(log, f"{ONE}-1").requests == []


def test_lines_that_are_cut_off_or_dropped_are_no_trouble() -> None:
    form = JsonFormatter()
    whole = answer(form, "r-1", 202, batch=f"{ONE}-1")
    dropped = line(form, "playsmart_gateway.output", "7 records were dropped: nobody read")
    said = search([whole[:-20], whole[90:], dropped, "\n", f"{ACCESS} r-1"], "r-1")
    assert (said.requests, said.answers, said.gaps) == ([], 0, True)
