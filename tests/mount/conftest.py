"""Every test here needs FUSE."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.needs("fuse"))


@pytest.fixture
def rv(rv_mount: Callable[..., Mount]) -> Mount:
    """A mount with no events but those that a test injects."""
    return rv_mount(source="inject")
