"""The stores that a suite is held against, each empty."""

from functools import partial
from pathlib import Path

import pytest

from playsmart_gateway.stores.open import open_store
from tests.support.stores import MakeSink, store_url


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each kind of store in turn."""
    return store_url(request.param, request, tmp_path)


@pytest.fixture
def make_sink(url: str) -> MakeSink:
    """Make sinks of the same store."""
    return partial(open_store, url)
