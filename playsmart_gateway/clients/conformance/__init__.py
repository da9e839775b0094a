"""Holds a client of anybody's to what a gateway and a phone ask of it, case by case.

A client is told what to do by its *adapter*, a program that reads commands as lines of JSON. A
*case* starts it, as often as it has lives, plays a gateway on 127.0.0.1 to it (``server``), and
looks at what comes there and at what is on the disk (``scene``). The cases are in ``sending``,
``answers``, ``keeping`` and ``trouble``. Start reading at ``run``; the protocol is in the manual,
under ``clients#prove-a-client``.
"""

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playsmart_gateway.clients.conformance import answers, keeping, sending, trouble
from playsmart_gateway.clients.conformance.adapter import Broken, Start, Unsupported, start_program
from playsmart_gateway.clients.conformance.case import Case
from playsmart_gateway.clients.conformance.scene import NotHere, Scene, Unmet
from playsmart_gateway.clients.conformance.server import ScriptedServer

__all__ = ["CASES", "Case", "Result", "run"]

CASES: dict[str, Case] = {
    each.name: each for group in (sending, answers, keeping, trouble) for each in group.CASES
}
"""All cases by their names."""

MAX_ERRORS = 1_000
"""How many characters of the end of standard error are told of a case that failed."""


@dataclass(frozen=True)
class Result:
    """How a case ended: ``detail`` says why not well, ``stderr`` what the client wrote last."""

    name: str
    verdict: Literal["passed", "failed", "skipped"]
    about: str
    detail: str = ""
    stderr: str = ""


def run(
    command: Sequence[str],
    names: Sequence[str],
    *,
    seconds: float,
    jobs: int,
    on_result: Callable[[Result], None] = lambda _: None,
    start: Start = start_program,
) -> list[Result]:
    """Play cases with the client that ``command`` starts, ``jobs`` at once; in the order given.

    ``seconds`` is how long one answer, or events on their way, may take. ``on_result`` is called
    as each case ends, one call at a time; ``start`` is what starts the command.

    Raises:
        OSError: the command cannot be started.
    """
    scenes: list[Scene] = []
    told = threading.Lock()

    def play(case: Case) -> Result:
        with (
            tempfile.TemporaryDirectory(prefix="conformance-") as folder,
            ScriptedServer() as server,
            Scene(server, Path(folder), seconds, command, start) as scene,
        ):
            scenes.append(scene)
            result = _played(case, scene)
            scenes.remove(scene)
        with told:
            on_result(result)
        return result

    pool = ThreadPoolExecutor(jobs)
    try:
        return list(pool.map(play, [CASES[each] for each in names]))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for each in [*scenes]:
            each.stop()
        pool.shutdown()


def _played(case: Case, scene: Scene) -> Result:
    try:
        case.play(scene)
    except (Unsupported, NotHere) as why:
        return Result(case.name, "skipped", case.about, str(why))
    except (Unmet, Broken) as why:
        for each in scene.lives:
            each.kill()
        errors = next((each.errors for each in reversed(scene.lives) if each.errors.strip()), "")
        return Result(case.name, "failed", case.about, str(why), errors.strip()[-MAX_ERRORS:])
    return Result(case.name, "passed", case.about)
