"""A text of breakpoint operations, one in each line, and what each of them answers.

A header of ``version 1`` and ``config KEY=VALUE …`` (both may be left out), then operations.
Words are separated by blanks, ``#`` starts a comment. The forms are :data:`VERBS`: the words
that an operation takes are named there as in the table :data:`WORDS`, which reads them.

=========  ========================================================================
operation  answer
=========  ========================================================================
task       OK
exit       OK; NOTASK: not alive
open       OK; BUSY: open already; an errno
wide       as ``open``; the event is then one breakpoint on every online CPU
modify     OK; NOEV: not open; an errno. A wide one goes CPU by CPU up to the first error
close      OK; NOEV
free       ``N ERR``: how many more the target could have, and what refuses the next one
=========  ========================================================================

A line that is none of this is a fault of the text: then nothing of it is run.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rvfs.errors import ModelError, RvfsError
from rvfs.hwbp.breakpoint import (
    ARCHES,
    PERIOD_LIMIT,
    TYPE_LIMIT,
    TYPES,
    WORD,
    X86,
    X86_BPEXT,
    Attributes,
    Registers,
)
from rvfs.hwbp.machine import Machine
from rvfs.hwbp.session import BASES, Answer, Fault, Session, errno_name

MAX_CPUS = 8192  # NR_CPUS of the largest configuration of Linux
MAX_SLOTS = 1024

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,40}|[0-9]{1,40}")
_CPU = re.compile(r"-?[0-9]{1,40}")


class Result(NamedTuple):
    """The answer of one operation. ``why`` is the sentence behind a refusal, else empty."""

    line: int
    words: str
    why: str

    def __str__(self) -> str:
        return f"{self.line} {self.words}"


def _number(below: int, lowest: int = 0) -> Callable[[str], int]:
    def read(word: str) -> int:
        if not _NUMBER.fullmatch(word):
            raise Fault(f"{word!r} is no number")
        number = int(word, 16 if word[1:2] in ("x", "X") else 10)
        if not lowest <= number < below:
            raise Fault(f"{word} is not from {lowest} to {below - 1}")
        return number

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if word not in choices:
            raise Fault(f"{word!r} is not one of {', '.join(choices)}")
        return word

    return read


def _cpu(word: str) -> int:
    if not _CPU.fullmatch(word):
        raise Fault(f"{word!r} is no CPU: a number, or -1 for every CPU")
    return int(word)


def _type(word: str) -> int:
    if word.upper() in TYPES:
        return TYPES[word.upper()]
    if not _NUMBER.fullmatch(word):
        raise Fault(f"{word!r} is no type: {', '.join(TYPES)} or a number")
    return _number(TYPE_LIMIT)(word)


def _address(word: str) -> int:
    base, plus, offset = word.rpartition("+")
    if plus and base not in BASES:
        raise Fault(f"{word!r} is no address: {', '.join(f'{b}+N' for b in BASES)} or a number")
    start = BASES.get(base, 0)
    return start + _number(WORD - start)(offset)


def _name(word: str) -> str:
    if word == "-":
        raise Fault("'-' means no task: it cannot be a name")
    return word


def _flag(word: str) -> bool:
    return _one_of("0", "1")(word) == "1"


#: How each word of :data:`VERBS` is read.
WORDS: Mapping[str, Callable[[str], Any]] = {
    "NAME": _name,
    "proc|thread": _one_of("proc", "thread"),
    "reap|zombie": _one_of("reap", "zombie"),
    "EV": str,
    "TASK": str,
    "CPU": _cpu,
    "TYPE": _type,
    "LEN": _number(WORD),
    "ADDR": _address,
}
#: flag → the attribute it sets, and how it is read.
FLAGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "ek": ("exclude_kernel", _flag),
    "dis": ("disabled", _flag),
    "br": ("branch_stack", _flag),
    "per": ("sample_period", _number(PERIOD_LIMIT)),
}
CONFIG: Mapping[str, Callable[[str], Any]] = {
    "cpus": _number(MAX_CPUS + 1, lowest=1),
    "arch": _one_of(*ARCHES),
    "bpext": _flag,
    "shared": _number(MAX_SLOTS + 1),
    "inst": _number(MAX_SLOTS + 1),
    "data": _number(MAX_SLOTS + 1),
}


_FLAGS = " [flags]"
#: operation → its words (those in [] may be left out), and what does it. TYPE LEN ADDR [flags]
#: together are one :class:`Attributes`.
VERBS: Mapping[str, tuple[str, Callable[..., Answer]]] = {
    "task": ("NAME proc|thread", Session.task),
    "exit": ("NAME reap|zombie", Session.exit),
    "open": ("EV TASK CPU TYPE LEN ADDR [flags]", Session.open),
    "wide": ("EV TYPE LEN ADDR [flags]", Session.wide),
    "modify": ("EV TYPE LEN ADDR [flags]", Session.modify),
    "close": ("EV", Session.close),
    "free": ("TASK CPU [TYPE]", Session.free),
}


@dataclass(frozen=True)
class Operation:
    line: int
    run: Callable[[Session], Answer]


class Script:
    """A text that was read and found free of faults."""

    def __init__(self, text: str, *, file: str = "<text>") -> None:
        """Raises :class:`ModelError` for the first line that is wrong, the others in ``also``."""
        self.file = file
        self.operations: list[Operation] = []
        self._config: dict[str, Any] | None = None
        faults = [fault for number, line in lines(text) if (fault := self._read(number, line))]
        if faults:
            raise ModelError.first_of(faults)

    def run(self) -> list[Result]:
        """On a machine of its own. Raises :class:`ModelError` for an operation on a task that
        its state does not allow; there are no results then."""
        session = Session(_machine(**self._config or {}))
        return [self._result(operation, session) for operation in self.operations]

    def _result(self, operation: Operation, session: Session) -> Result:
        try:
            return Result(operation.line, *operation.run(session))
        except RvfsError as error:
            return Result(operation.line, errno_name(error), str(error))
        except Fault as fault:
            raise ModelError(str(fault), file=self.file, line=operation.line) from None

    def _read(self, number: int, line: str) -> ModelError | None:
        verb, *words = line.split()
        try:
            self._read_words(number, verb, words)
        except Fault as fault:
            return ModelError(f"{verb}: {fault}", file=self.file, line=number)
        return None

    def _read_words(self, number: int, verb: str, words: list[str]) -> None:
        if verb in ("version", "config"):
            self._read_header(verb, words)
        elif verb in VERBS:
            self.operations.append(Operation(number, _operation(verb, words)))
        else:
            raise Fault(f"not one of version, config, {', '.join(VERBS)}")

    def _read_header(self, verb: str, words: list[str]) -> None:
        if self.operations:
            raise Fault("must stand before the first operation")
        if verb == "version":
            if words != ["1"]:
                raise Fault(f"this reads version 1, not {' '.join(words) or 'none'}")
        elif self._config is not None:
            raise Fault("there is one already")
        else:
            self._config = _settings(words, CONFIG)
            _machine(**self._config)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, without comments, by number from 1."""
    for number, line in enumerate(text.split("\n"), 1):
        if content := line.partition("#")[0].strip():
            yield number, content


def _operation(verb: str, words: list[str]) -> Callable[[Session], Answer]:
    usage, do = VERBS[verb]
    values = read_words(usage, words)
    return lambda session: do(session, *values)


def read_words(
    usage: str, words: list[str], kinds: Mapping[str, Callable[[str], Any]] = WORDS
) -> list[Any]:
    """The values of the words that a ``usage`` (as in :data:`VERBS`) names, read as ``kinds`` say.

    Raises :class:`Fault`.
    """
    names = usage.removesuffix(_FLAGS).split()
    needed = sum(not name.startswith("[") for name in names)
    plain, flags = words[: len(names)], words[len(names) :]
    if len(plain) < needed or (flags and not usage.endswith(_FLAGS)):
        raise Fault(f"takes {usage}, not {' '.join(words) or 'nothing'}")
    values: list[Any] = [
        kinds[name.strip("[]")](word) for name, word in zip(names, plain, strict=False)
    ]
    if usage.endswith(_FLAGS):
        values[-3:] = [_attributes(values[-3:], flags)]
    return values


def _attributes(watched: list[Any], flags: list[str]) -> Attributes:
    given = _settings(flags, {key: read for key, (_, read) in FLAGS.items()})
    return Attributes(*watched, **{FLAGS[key][0]: value for key, value in given.items()})


def _settings(words: list[str], known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """``key=value`` words, each key once."""
    settings: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known or key in settings:
            wrong = "is there twice" if key in settings else f"is not one of {', '.join(known)}"
            raise Fault(f"{key!r} {wrong}")
        settings[key] = known[key](value)
    return settings


def _machine(
    cpus: int = 1, arch: str = X86.name, bpext: bool = False,
    shared: int | None = None, inst: int | None = None, data: int | None = None,
) -> Machine:  # fmt: skip
    """``bpext`` means something on x86 alone."""
    chosen = X86_BPEXT if bpext and arch == X86.name else ARCHES[arch]
    return Machine(cpus, chosen, _registers(shared, inst, data))


def _registers(shared: int | None, inst: int | None, data: int | None) -> Registers | None:
    if shared is not None and inst is None and data is None:
        return Registers.shared(shared)
    if shared is None and inst is not None and data is not None:
        return Registers.split(inst=inst, data=data)
    if shared is inst is data:
        return None
    raise Fault("takes either shared, or both inst and data")
