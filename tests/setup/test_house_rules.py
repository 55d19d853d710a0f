"""The rules that ``tests/conftest.py`` holds every test to."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"


Run = Callable[[str], tuple[dict[str, int], str]]


@pytest.fixture
def run(pytester: pytest.Pytester, caplog: pytest.LogCaptureFixture) -> Run:
    """Run a suite of one file under the same conftest: how many did what, and the text."""
    pytester.makeconftest(CONFTEST.read_text().replace("TRACES.is_dir", "lambda: False"))

    def run(test: str) -> tuple[dict[str, int], str]:
        pytester.makepyfile(f"import logging, pytest\n{test}")
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-rs")
        caplog.clear()
        return result.parseoutcomes(), result.stdout.str()

    return run


LOGS = "logging.getLogger('rvfs.x').warning('the %s is wet', 'floor')"


def test_a_warning_that_nobody_declared_fails_the_test(run: Run) -> None:
    counts, text = run(f"def test(): {LOGS}")
    assert counts == {"passed": 1, "errors": 1}
    assert "WARNING rvfs.x: the floor is wet" in text


def test_so_does_one_from_a_fixture(run: Run) -> None:
    fixture = f"@pytest.fixture\ndef late():\n    yield\n    {LOGS}\n"
    counts, _ = run(f"{fixture}def test(late): pass")
    assert counts == {"passed": 1, "errors": 1}


def test_a_declared_warning_passes(run: Run) -> None:
    counts, _ = run(
        f"def test(caplog):\n    {LOGS}\n    assert 'wet' in caplog.text\n    caplog.clear()"
    )
    assert counts == {"passed": 1}


NEEDY = "@pytest.mark.needs('traces')\ndef test(): pass"


def test_what_is_missing_skips_with_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RVFS_REQUIRE", raising=False)
    counts, text = run(NEEDY)
    assert counts == {"skipped": 1}
    assert "there are no recordings in" in text


def test_what_is_missing_and_required_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RVFS_REQUIRE", "fuse,traces")
    counts, text = run(NEEDY)
    assert counts == {"errors": 1}
    assert "RVFS_REQUIRE lists traces" in text
