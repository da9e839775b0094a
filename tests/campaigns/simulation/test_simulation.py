"""A few seconds of it in the normal suite, and the evidence that it bites."""

import logging
from collections import Counter
from itertools import chain

import pytest

from tests.campaigns.simulation import campaign
from tests.campaigns.simulation.__main__ import main
from tests.campaigns.simulation.chance import ODDS
from tests.campaigns.simulation.mutants import MUTANTS
from tests.campaigns.simulation.scenario import (
    quiet,
    simulate,
)

SEEDS = 160
MUTANT_SEEDS = 8_000

CAUGHT_AT = {
    "gives up at the first failed sync": 1956,
    "does not sync what it replays": 931,
    "leaves a failed write behind": 239,
}
"""The first seeds that notice the rarer ones; searched from, to be quick. None has to be right."""


@pytest.fixture(scope="module")
def tally() -> campaign.Tally:
    *_, tally = campaign.run(0, SEEDS, jobs=1)
    return tally


def test_every_promise_is_kept_in_every_history(tally: campaign.Tally) -> None:
    replays = [
        f"python -m tests.campaigns.simulation --seed {seed} --trace" for seed, _ in tally.failures
    ]
    assert not tally.failures, f"replay: {replays}"
    assert tally.seeds == SEEDS


def test_every_kind_of_fault_is_injected(tally: campaign.Tally) -> None:
    others = {
        "disk: bit flip in the middle",
        "disk: bit flip in the tail",
        "disk: freed",
        "power: cut",
        "power: lost",
        "power: names lost",
        "power: reordered",
        "power: torn",
        "power: transactions lost",
        "process: killed",
        "shutdown: before all was stored",
        "shutdown: in a hurry",
        "shutdown: while clients play",
    }
    assert set(tally.faults) == set(ODDS) | others


def test_excuses_are_rare(tally: campaign.Tally) -> None:
    """Nothing that came back from a disk which refused to cut it off may hide a real bug."""
    double_faults = "refused, but could not be cut off, and came back"
    assert tally.excused[double_faults] <= tally.batches / 1_000


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_gateway_is_caught(mutant: str) -> None:
    first = CAUGHT_AT.get(mutant, 0)
    caught = campaign.catch(mutant, chain(range(first, MUTANT_SEEDS), range(first)))
    assert caught is not None, f"{MUTANT_SEEDS} seeds did not notice"


def test_a_seed_replays_to_the_letter() -> None:
    def history(seed: int) -> list[str]:
        steps: list[str] = []
        simulate(seed, tell=steps.append)
        return steps

    with quiet():
        for seed in range(10):
            assert history(seed) == history(seed)


def test_a_failing_seed_is_replayed_by_the_printed_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mutant = "lets go before the store has it"
    caught = campaign.catch(mutant, range(MUTANT_SEEDS))
    assert caught is not None
    assert main(["--seed", str(caught.seed), "--mutant", mutant]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main(["--seed", str(caught.seed)]) == 0


def test_a_trace_tells_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("playsmart_gateway")
    level, handlers = logger.level, list(logger.handlers)
    try:
        assert main(["--seed", "3", "--trace"]) == 0
    finally:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    told = capsys.readouterr().out
    assert "life 1" in told
    assert "disk: sync" in told


def test_a_campaign_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "30", "--jobs", "2"]) == 0
    assert "30 seeds" in capsys.readouterr().out


def test_the_sum_names_failing_seeds_in_order() -> None:
    total = campaign.Tally(failures=[(7, "late")], failed=1, faults=Counter(a=1))
    total.merge(campaign.Tally(failures=[(3, "early")], failed=1, faults=Counter(a=2)))
    assert total.failures == [(3, "early"), (7, "late")]
    assert (total.failed, total.faults["a"]) == (2, 3)
