"""How ``rvfs check`` tells what it found: text or JSON, and a bar while it takes long."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy and rich take longer to load than many a recording to check
    from rvfs.event import Verdict
    from rvfs.judging.report import Found, Report

#: A recording of less than this is checked in a moment: no progress bar.
LONG_FILE = 8 << 20


@dataclass(frozen=True, slots=True)
class Style:
    """How a violation (of a file, if that must be said) and a report are written."""

    violation: "Callable[[str | None, Verdict], str]"
    summary: "Callable[[Report], Iterable[str]]"


def _time(ns: int) -> str:
    """Seconds with the microseconds that ftrace prints: rounded, not cut."""
    seconds, microseconds = divmod((ns + 500) // 1000, 1_000_000)
    return f"{seconds}.{microseconds:06d}"


def _task(verdict: "Verdict") -> tuple[str, int]:
    """The instance's task; the one that was running where the instance is no task's."""
    comm, pid = (
        (verdict.current, verdict.pid) if verdict.key is None else (verdict.comm, verdict.key)
    )
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in comm), pid


def _text_violation(file: str | None, verdict: "Verdict") -> str:
    comm, pid = _task(verdict)
    return (
        (f"{file}: " if file else "") + f"{_time(verdict.time)} [{verdict.cpu:03d}] "
        f"{verdict.monitor} {comm}-{pid}: {_what(verdict)}\n"
    )


def _what(verdict: "Verdict") -> str:
    """The sentence of the kernel's trace events; of a rule also the atoms that held."""
    if verdict.rule:
        return f"violation detected in the states {verdict.state} with {verdict.event or 'no atom'}"
    env = "" if verdict.env is None else f" with env {verdict.env}"
    return f"event {verdict.event} not expected in the state {verdict.state}{env}"


def _losses(report: "Report") -> "dict[int, int | None]":
    """Events lost per CPU; None where some were lost that nobody counted."""
    return {
        cpu: None if cpu in report.uncounted else count
        for cpu, count in sorted(report.lost.items())
    }


def _text_summary(report: "Report") -> Iterator[str]:
    for warning in report.warnings:
        yield f"{report.file}: warning: {warning}"
    found = ", ".join(f"{name} {count}" for name, count in report.violations.items())
    line = f"{report.file}: {report.events.total()} events, violations: {found}"
    if report.lost:
        lost = ", ".join(f"CPU {cpu}: {count or 'some'}" for cpu, count in _losses(report).items())
        line += f"; events lost: {lost} (not judged across the gaps)"
    yield line


def _json_violation(file: str | None, verdict: "Verdict") -> str:
    comm, pid = _task(verdict)
    found = {
        "time": float(_time(verdict.time)), "cpu": verdict.cpu, "monitor": verdict.monitor,
        "task": comm, "pid": pid, "state": verdict.state, "event": verdict.event,
    }  # fmt: skip
    if verdict.env is not None:
        found["env"] = verdict.env
    return json.dumps({"file": file, **found} if file else found) + "\n"


def _json_summary(report: "Report") -> Iterator[str]:
    yield json.dumps(
        {"file": report.file, "events": report.events, "violations": report.violations,
         "lost": _losses(report), "warnings": report.warnings}
    )  # fmt: skip


FORMATS: Mapping[str, Style] = {
    "text": Style(_text_violation, _text_summary),
    "json": Style(_json_violation, _json_summary),
}


@dataclass(frozen=True, slots=True)
class Lines:
    """Violations as lines, in a format; the recording is named where there are several."""

    format: str
    told_apart: bool

    def __call__(self, file: str, verdicts: "Iterable[Verdict]") -> str:
        line, name = FORMATS[self.format].violation, file if self.told_apart else None
        return "".join(line(name, verdict) for verdict in verdicts)

    def of(self, file: str, found: "Found") -> str:
        """The same, where that may have been done elsewhere."""
        return self(file, found.verdicts) if found.lines is None else found.lines


class _Quiet:
    """Writes lines; shows nothing else."""

    def show(self, done: float, lines: str) -> None:
        sys.stdout.write(lines)


class _Bar:
    """A bar on the terminal behind stderr, out of the way while lines are written."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(
            console=Console(stderr=True), transient=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=100)
        self._shown = 0

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, done: float, lines: str) -> None:
        if lines:
            self._bar.stop()
            sys.stdout.write(lines)
            sys.stdout.flush()
            self._bar.start()
        if int(100 * done) > self._shown:
            self._shown = int(100 * done)
            self._bar.update(self._task, completed=self._shown, refresh=True)


def progress(path: str) -> "AbstractContextManager[_Quiet | _Bar]":
    with suppress(OSError):  # what cannot be read says so by itself
        if sys.stderr.isatty() and Path(path).stat().st_size >= LONG_FILE:
            return _Bar(Path(path).name)
    return nullcontext(_Quiet())
