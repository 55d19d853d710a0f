"""``rvfs convert``: a recording as Parquet, the columns that data tools read."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rvfs.cli.output import replacing
from rvfs.errors import InvalidInput
from rvfs.extras import extra

if TYPE_CHECKING:
    from rvfs.source.replay import Replay
    from rvfs.tracepoint import Tracepoint, Vocabulary

#: Events that are read at once.
BATCH = 1 << 16

DESCRIPTION = """\
Write the events of a recording (ftrace text or trace.dat) as a Parquet table: ts, cpu, pid,
comm, event, and a column per field. `rvfs check` judges it like the recording itself, and
pandas, DuckDB, Polars or Spark read it. Needs pip install 'rvfs[parquet]'."""

EXAMPLES = """\
examples:
  rvfs convert trace.dat trace.parquet
  rvfs check trace.parquet -m wwnr"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "convert", help="write a recording as Parquet", description=DESCRIPTION,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("trace", metavar="TRACE", help="a recording")
    parser.add_argument("table", metavar="FILE.parquet", type=Path, help="the table to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the table. Raises :class:`RvfsError`; there is no new table then."""
    if args.table.suffix != ".parquet":
        raise InvalidInput(f"{args.table}: the name of the table must end in .parquet")
    with extra("parquet", "rvfs convert"):
        from rvfs.source.parquet_writer import EventWriter

    vocabulary = _catalogue()
    tracepoints = _present(args.trace, vocabulary)
    with _open(args.trace, vocabulary) as source, replacing(args.table) as part:
        source.subscribe({vocabulary.number(t.full_name): _fields(t) for t in tracepoints})
        with EventWriter(part, vocabulary, tracepoints) as table:
            while (batch := source.read(BATCH)) is not None:
                table.write(batch, source.uncounted)
            table.note(source.notes)
    for note in source.notes:
        sys.stderr.write(f"{args.trace}: warning: {note}\n")
    return 0


def _catalogue() -> "Vocabulary":
    from rvfs.tracepoint import Vocabulary, catalogue

    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    return vocabulary


def _open(trace: str, vocabulary: "Vocabulary") -> "closing[Replay]":
    from rvfs.source.replay import Replay

    return closing(Replay(trace, vocabulary))


def _present(trace: str, vocabulary: "Vocabulary") -> "list[Tracepoint]":
    """What the recording has events of: only that becomes columns."""
    import numpy as np

    found: set[int] = set()
    with _open(trace, vocabulary) as source:
        source.subscribe({number: frozenset() for number, _ in vocabulary})
        while (batch := source.read(BATCH)) is not None:
            found.update(np.flatnonzero(np.bincount(batch.tp)).tolist())
    return [tracepoint for number, tracepoint in vocabulary if number in found]


def _fields(tracepoint: "Tracepoint") -> frozenset[str]:
    from rvfs.source.parquet_schema import columns_of

    return frozenset(columns_of(tracepoint))
