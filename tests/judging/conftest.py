"""What the tests of judging get."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    """A folder for results in which nothing half written remains."""
    folder = tmp_path / "results"
    folder.mkdir()
    yield folder
    assert not list(folder.glob("*.part"))
