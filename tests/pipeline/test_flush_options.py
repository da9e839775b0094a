from playsmart_gateway.pipeline.flush_options import AWAITED_SECONDS, LEAST_SHARE, FlushOptions

OPTIONS = FlushOptions(interval_seconds=2.0, max_events=10_003, max_bytes=10**6)
SLOW, FAST = 5_000 / AWAITED_SECONDS, 50_000 / AWAITED_SECONDS


def test_a_transaction_that_nobody_waits_for_is_a_full_one() -> None:
    assert OPTIONS.most_events(False, SLOW) == 10_003


def test_a_transaction_that_requests_wait_for_takes_no_longer_than_they_should_wait() -> None:
    assert OPTIONS.most_events(True, SLOW) == 5_000


def test_a_transaction_is_never_more_than_a_full_one_and_never_less_than_its_least_share() -> None:
    assert OPTIONS.most_events(True, FAST) == 10_003
    assert OPTIONS.most_events(True, 1.0) == 10_003 // LEAST_SHARE


def test_a_store_whose_pace_is_not_known_gets_full_transactions() -> None:
    assert OPTIONS.most_events(True, None) == 10_003
    assert OPTIONS.most_events(True, 0.0) == 10_003
