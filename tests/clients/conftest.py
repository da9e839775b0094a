"""The adapter of the client that a module tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def adapter(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The command that starts the adapter of the module's ``CLIENT``, built once."""
    with request.module.CLIENT.ready() as command:
        yield command
