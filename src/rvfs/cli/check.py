"""``rvfs check``: does a recording keep to its monitors' models?

One line per violation on stdout, a summary per recording on stderr; so what stdout says of
one recording does not depend on the format it was stored in. Exit status: 0 clean, 1
violations, 2 unusable input (which wins over 1); a recording in which nothing could be
checked is unusable, so that a mistyped ``trace-cmd -e`` does not pass for clean.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rvfs.cli.check_report import FORMATS, Lines, Style, progress
from rvfs.cli.output import replacing
from rvfs.errors import AlreadyRegistered, InvalidInput, RvfsError, UnknownName
from rvfs.extras import extra

if TYPE_CHECKING:  # numpy takes longer to load than many a recording to check
    from rvfs.judging.executors import Job
    from rvfs.judging.report import Found, Judged, Step
    from rvfs.judging.unit import Results
    from rvfs.monitor import Monitor
    from rvfs.monitors import Loaded

CLEAN, VIOLATIONS, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
OUTCOMES = {CLEAN: "clean", VIOLATIONS: "with violations", UNUSABLE: "unusable"}

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
    parser.add_argument(
        "traces", metavar="TRACE", nargs="*", help="a recording, a folder of them, or a pattern"
    )
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
        "-o", "--output", metavar="FILE", type=Path,
        help="write the violations to FILE, not to stdout; as a table, if it ends in .parquet",
    )  # fmt: skip
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=_count_of_jobs, default=1,
        help="how many recordings to judge at a time (0: one per CPU that rvfs may use, as its "
        "affinity and control groups have it); the report is the same",
    )  # fmt: skip
    parser.add_argument(
        "--results", metavar="DIR", type=Path,
        help="keep what was found of each recording; what is there already is not judged again",
    )  # fmt: skip
    parser.add_argument(
        "--executor", choices=("processes", "dask"), default="processes",
        help="who judges: processes here, or the workers of a Dask cluster",
    )  # fmt: skip
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of the cluster: tcp://HOST:PORT")
    parser.set_defaults(run=run)


def _count_of_jobs(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs (1, 2, ..., or 0)")
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
    _require_its_scheduler(args)
    if args.jobs != 1 and args.executor == "processes":
        _start_server()
    monitors = _choose(args.monitors, args.models, args.folder)
    files, style = list(_recordings(args.traces)), FORMATS[args.format]
    lines = Lines(args.format, told_apart=len(args.traces) > 1 or files != args.traces)
    statuses: Counter[int] = Counter()
    with (
        _output(args.output, lines) as output,
        _judged(files, monitors, lines, args) as results,
    ):
        for file, steps in zip(files, results, strict=True):
            put = partial(output, file)
            statuses[_conclude(_tell(file, steps, put), style)] += 1
    if files != args.traces:
        _say(_total(statuses))
    return max(statuses)


@contextmanager
def _output(path: Path | None, lines: Lines) -> "Iterator[Callable[[str, Found], str]]":
    """Where the violations of a recording go; it returns what of them is to be shown."""
    if path is None:
        yield lines.of
        return
    with replacing(path) as part:
        if _is_table(path):
            with extra("parquet", f"--output {path}"):
                from rvfs.judging.verdict_table import VerdictTable
            with VerdictTable(part) as table:
                yield lambda file, found: table.write(file, found.verdicts)
        else:
            with part.open("w") as output:

                def put(file: str, found: "Found") -> str:
                    output.write(lines.of(file, found))
                    return ""

                yield put


def _is_table(path: Path | None) -> bool:
    return path is not None and path.suffix == ".parquet"


def _start_server() -> None:
    from rvfs.judging import server

    server.start()


def _require_its_scheduler(args: argparse.Namespace) -> None:
    if args.executor == "dask" and not args.scheduler:
        raise InvalidInput("--executor dask needs the address of its --scheduler (tcp://HOST:PORT)")
    if args.scheduler and args.executor != "dask":
        raise InvalidInput("--scheduler is of --executor dask")


def _recordings(arguments: Sequence[str]) -> Iterator[str]:
    """The files that are meant. Raises :class:`InvalidInput` for a folder without one."""
    from rvfs.judging.finding import recordings

    for argument in arguments:
        found = 0
        for file, fault in recordings(argument):
            if fault is None:
                found += 1
                yield file
            else:
                _say(f"{file}: skipped: {fault}")
        if not found:
            raise InvalidInput(f"there is no recording in {argument}")


def _total(statuses: Mapping[int, int]) -> str:
    parts = ", ".join(f"{statuses[status]} {says}" for status, says in OUTCOMES.items())
    return f"rvfs check: {sum(statuses.values())} recordings: {parts}"


@contextmanager
def _judged(
    files: Sequence[str], monitors: "Sequence[Monitor]", lines: Lines, args: argparse.Namespace
) -> "Iterator[Results]":
    """What judging each recording yields, in their order, whoever does it."""
    from rvfs.judging.cpus import usable
    from rvfs.judging.parts import joined, split
    from rvfs.judging.unit import Unit, in_this_process

    units = [Unit.of(file, monitors) for file in files]
    args.jobs = args.jobs or usable()
    if args.executor == "processes":
        units = [part for unit in units for part in split(unit, args.jobs // len(units))]
        args.jobs = min(args.jobs, len(units))
    if args.jobs < 2 and args.executor == "processes" and not args.results:
        yield in_this_process(units)
        return
    from rvfs.judging.executors import jobs_of
    from rvfs.judging.result import VALUES, Form

    form = VALUES if _is_table(args.output) else Form(repr(lines), lines, args.results is not None)
    with _results_folder(args.results) as folder:
        jobs = jobs_of(units, folder, form)
        if kept := sum(job.result.is_kept for job in jobs if job.unit.part == 0):
            _say(f"rvfs check: {kept} of {len(files)} recordings were judged before ({folder})")
        with closing(EXECUTORS[args.executor](jobs, args)) as results:
            yield joined(units, results)


def _in_processes(jobs: "Sequence[Job]", args: argparse.Namespace) -> "Results":
    from rvfs.judging.executors import in_processes

    return in_processes(jobs, args.jobs)


def _on_cluster(jobs: "Sequence[Job]", args: argparse.Namespace) -> "Results":
    with extra("dask", "--executor dask"):
        from rvfs.judging.cluster import on_cluster

    return on_cluster(jobs, args.scheduler)


EXECUTORS: "Mapping[str, Callable[[Sequence[Job], argparse.Namespace], Results]]" = {
    "processes": _in_processes,
    "dask": _on_cluster,
}


@contextmanager
def _results_folder(folder: Path | None) -> Iterator[Path]:
    """The folder for results; one for the moment where none is named."""
    if folder is None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="rvfs-check-") as name:
            yield Path(name)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"--results {folder}: {error.strerror}") from None
    yield folder


def _tell(file: str, steps: "Iterable[Step]", put: "Callable[[Found], str]") -> "Judged":
    """Write the violations of a recording as they come; how it ended."""
    from rvfs.judging.report import Judged

    with progress(file) as shown:
        for step in steps:
            if isinstance(step, Judged):
                end = step
            else:
                shown.show(step.done, put(step))
    return end


def _conclude(end: "Judged", style: Style) -> int:
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
    from rvfs.monitors import load_model_file

    if not names and not models:
        raise InvalidInput("nothing to check with; name monitors (-m) or a model (--model)")
    known = _known(names, folder)
    chosen = {m.name: m for name in names for m in _named(name, known)}
    for path in models:
        monitor = load_model_file(path)
        if monitor.name in chosen:
            raise AlreadyRegistered(f"{path}: there is more than one monitor {monitor.name}")
        chosen[monitor.name] = monitor
    return list(chosen.values())


def _known(names: Sequence[str], folder: Path | None) -> "Sequence[Loaded]":
    """What the names may mean; of what is shipped no more is loaded than it takes."""
    from rvfs.monitors import SHIPPED, available, plugins, shipped_folder

    folders = {name.partition(":")[0] for name in names}
    if folder is not None or not folders.issubset(SHIPPED):
        return available(folder)
    return (*map(shipped_folder, sorted(folders)), *plugins())


def _named(name: str, known: "Iterable[Loaded]") -> "list[Monitor]":
    """``sco``, ``sched:sco``, or ``sched`` for its children."""
    for outer in known:
        for loaded in outer:
            own = loaded.monitor.name
            if name in (own, f"{outer.monitor.name}:{own}" if loaded is not outer else own):
                return [inner.monitor for inner in loaded if not inner.monitor.is_container]
    raise UnknownName(f"there is no monitor {name!r} (rvfs list shows what there is)")
