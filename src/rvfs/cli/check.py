"""``rvfs check``: does a recording keep to its monitors' models?

One line per violation on stdout, a summary per recording on stderr; so what stdout says of
one recording does not depend on the format it was stored in. Exit status: 0 clean, 1
violations, 2 unusable input (which wins over 1); a recording in which nothing could be
checked is unusable, so that a mistyped ``trace-cmd -e`` does not pass for clean.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rvfs.errors import AlreadyRegistered, InvalidInput, RvfsError, UnknownName

if TYPE_CHECKING:  # numpy and rich take longer to load than many a recording to check
    from rvfs.event import Verdict
    from rvfs.judging.report import Judged, Report, Step
    from rvfs.monitor import Monitor
    from rvfs.monitors import Loaded

CLEAN, VIOLATIONS, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

#: A recording of less than this is checked in a moment: no progress bar.
LONG_FILE = 8 << 20

DESCRIPTION = """\
Check recordings against monitors: ftrace text (trace, trace_pipe, trace-cmd report) and
trace.dat. One line per violation on stdout; a summary, warnings and what was lost on stderr.
With --format json, stdout has one object per violation (time in s, cpu, monitor, task, pid,
state, event; file, if there are several) and stderr one per recording. What was lost is
told per CPU: a number, or "some" (JSON: null) where nobody counted."""

EXAMPLES = """\
examples:
  rvfs check trace.dat -m wwnr
  rvfs check before.txt after.txt -m wip sched -j 2
  rvfs check trace.dat --model my.dot --format json | jq .task

exit status: 0 clean, 1 violations, 2 a recording or monitor that cannot be used, or a
recording with no event of any of the monitors: nothing was checked"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "check", help="check recordings against monitors", description=DESCRIPTION,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("traces", metavar="TRACE", nargs="*", help="a recording")
    parser.add_argument(
        "-m", "--monitor", dest="monitors", metavar="MONITOR", nargs="+", action="extend",
        default=[], help="monitors to check with; a container stands for its children",
    )  # fmt: skip
    parser.add_argument(
        "--model", dest="models", metavar="FILE", type=Path, action="append", default=[],
        help="a model file to check with, with its bindings (.toml) beside it",
    )  # fmt: skip
    parser.add_argument(
        "--monitors", dest="folder", metavar="DIR", type=Path, help="a folder of more monitors"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="text")
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=_count_of_jobs, default=1,
        help="how many recordings to judge at a time (0: one per CPU); the report is the same",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _count_of_jobs(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Check every recording; the exit status."""
    try:
        return _check_all(args)
    except RvfsError as error:
        return _refuse(error)
    except BrokenPipeError:  # who read our lines has enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return VIOLATIONS
    except KeyboardInterrupt:
        return INTERRUPTED


def _check_all(args: argparse.Namespace) -> int:
    if not args.traces:
        raise InvalidInput(
            "no recording is named; write it before -m, which takes all that follows"
        )
    monitors = _choose(args.monitors, args.models, args.folder)
    style = FORMATS[args.format]
    worst = CLEAN
    with _judged(args.traces, monitors, args.jobs) as results:
        for trace, steps in zip(args.traces, results, strict=True):
            line = partial(style.violation, trace if len(args.traces) > 1 else None)
            worst = max(worst, _conclude(_tell(trace, steps, line), style))
    return worst


@contextmanager
def _judged(
    traces: Sequence[str], monitors: "Sequence[Monitor]", jobs: int
) -> "Iterator[Iterable[Iterator[Step]]]":
    """What judging each recording yields, in their order, whoever does it."""
    from rvfs.judging.executors import in_processes, in_this_process
    from rvfs.judging.unit import Unit

    units = [Unit(trace, tuple(monitors)) for trace in traces]
    count = min(jobs or len(os.sched_getaffinity(0)), len(units))
    if count < 2:
        yield in_this_process(units)
        return
    with (
        TemporaryDirectory(prefix="rvfs-check-") as folder,
        closing(in_processes(units, count, Path(folder))) as results,
    ):
        yield results


def _tell(trace: str, steps: "Iterable[Step]", line: "Callable[[Verdict], str]") -> "Judged":
    """Write the violations of a recording as they come; how it ended."""
    from rvfs.judging.report import Judged

    with _progress(trace) as progress:
        for step in steps:
            if isinstance(step, Judged):
                end = step
            else:
                progress.show(step.done, "".join(map(line, step.verdicts)))
    return end


def _conclude(end: "Judged", style: "Style") -> int:
    """Say how judging a recording ended; the exit status for it."""
    if end.report:
        for sentence in style.summary(end.report):
            _say(sentence)
    if end.error:
        return _refuse(end.error)
    return VIOLATIONS if end.report and end.report.violations.total() else CLEAN


def _refuse(error: RvfsError | str) -> int:
    _say(f"rvfs check: {error}")
    return UNUSABLE


def _say(line: str) -> None:
    sys.stdout.flush()  # so that the two streams keep their order on a terminal
    sys.stderr.write(line + "\n")


def _choose(names: Sequence[str], models: Sequence[Path], folder: Path | None) -> "list[Monitor]":
    """The monitors of these names and model files. Raises :class:`RvfsError`."""
    from rvfs.monitors import available, load_model_file

    if not names and not models:
        raise InvalidInput("nothing to check with; name monitors (-m) or a model (--model)")
    known = available(folder)
    chosen = {m.name: m for name in names for m in _named(name, known)}
    for path in models:
        monitor = load_model_file(path)
        if monitor.name in chosen:
            raise AlreadyRegistered(f"{path}: there is more than one monitor {monitor.name}")
        chosen[monitor.name] = monitor
    return list(chosen.values())


def _named(name: str, known: "Iterable[Loaded]") -> "list[Monitor]":
    """``sco``, ``sched:sco``, or ``sched`` for its children."""
    for outer in known:
        for loaded in outer:
            own = loaded.monitor.name
            if name in (own, f"{outer.monitor.name}:{own}" if loaded is not outer else own):
                return [inner.monitor for inner in loaded if not inner.monitor.is_container]
    raise UnknownName(f"there is no monitor {name!r} (rvfs list shows what there is)")


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
        f"{verdict.monitor} {comm}-{pid}: event {verdict.event} not expected in the state "
        f"{verdict.state}\n"
    )


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


def _progress(path: str) -> "AbstractContextManager[_Quiet | _Bar]":
    with suppress(OSError):  # what cannot be read says so by itself
        if sys.stderr.isatty() and Path(path).stat().st_size >= LONG_FILE:
            return _Bar(Path(path).name)
    return nullcontext(_Quiet())
