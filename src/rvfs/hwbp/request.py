"""What may be written to ``hwbp/reserve`` and ``hwbp/check``: the words of the script format.

=========================================  ==================================================
line                                       what it does
=========================================  ==================================================
``open NAME TARGET CPU TYPE LEN ADDR …``   one breakpoint, or one for each thread
``wide NAME TYPE LEN ADDR …``              one on each online CPU
``modify NAME TYPE LEN ADDR …``            watch something else
``close NAME``                             release it
=========================================  ==================================================

``TARGET`` is ``task:PID``, ``process:PID`` (all of its threads) or ``-``; ``CPU`` is
a number or -1, with or without ``cpu:`` before it; the rest is as in ``script.py``. One
write is one command: lines that open are one set, all or none; the others stand alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rvfs.errors import InvalidInput, RvfsError
from rvfs.hwbp.breakpoint import Attributes
from rvfs.hwbp.held import Breakpoints, Target, Wish, sentence
from rvfs.hwbp.script import WORDS, lines, read_words
from rvfs.hwbp.session import Fault
from rvfs.monitor import check_name

#: What may be written in one go, in bytes.
MAX_REQUEST = 65535

_TARGET = re.compile(r"(task|process):([1-9][0-9]{0,9})")


def _target(word: str) -> Target:
    if word == "-":
        return Target("cpu")
    match = _TARGET.fullmatch(word)
    if match is None:
        raise Fault(f"{word!r} is no target: task:PID, process:PID, or - for none")
    return Target(match[1], int(match[2]))


def _cpu(word: str) -> int:
    cpu: int = WORDS["CPU"](word.removeprefix("cpu:"))
    return cpu


def _name(word: str) -> str:
    check_name("breakpoint", word)
    return word


_KINDS: Mapping[str, Callable[[str], Any]] = {
    **WORDS, "NAME": _name, "OPEN": str, "TARGET": _target, "CPU": _cpu,
}  # fmt: skip


def _open(name: str, target: Target, cpu: int, attr: Attributes) -> Wish:
    return Wish(name, target._replace(cpu=cpu), attr)


def _wide(name: str, attr: Attributes) -> Wish:
    return Wish(name, Target("wide"), attr)


def _modify(name: str, attr: Attributes) -> Callable[[Breakpoints], None]:
    return lambda breakpoints: breakpoints.modify(breakpoints.find(name), attr)


def _close(name: str) -> Callable[[Breakpoints], None]:
    return lambda breakpoints: breakpoints.release(breakpoints.find(name))


_VERBS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "open": ("NAME TARGET CPU TYPE LEN ADDR [flags]", _open),
    "wide": ("NAME TYPE LEN ADDR [flags]", _wide),
    "modify": ("OPEN TYPE LEN ADDR [flags]", _modify),
    "close": ("OPEN", _close),
}


def reserve(breakpoints: Breakpoints, data: bytes) -> None:
    """Open a set, or modify or close one. Nothing written does nothing.

    Raises :class:`InvalidInput` for what makes no sense, and as :class:`Breakpoints`.
    """
    with breakpoints.noting("reserve"):
        commands = list(_commands(data))
        wishes = [one for one in commands if isinstance(one, Wish)]
        if len(wishes) == len(commands):
            breakpoints.open(wishes)
        elif len(commands) == 1:
            commands[0](breakpoints)
        else:
            raise InvalidInput("modify and close stand alone in a write")


def check(breakpoints: Breakpoints, data: bytes) -> None:
    """A dry run of what :func:`reserve` would open; its answer is ``last_check`` from then on.

    Raises what :func:`reserve` would.
    """
    try:
        with breakpoints.noting("check"):
            breakpoints.check(_wishes(data))
    except RvfsError as error:
        breakpoints.last_check = sentence(error)
        raise
    breakpoints.last_check = "OK"


def field(kind: str, data: bytes) -> int:
    """The one number in a write to ``addr``, ``len`` or ``type``. Raises :class:`InvalidInput`."""
    try:
        number: int = WORDS[kind](_text(data).strip())
    except Fault as fault:
        raise InvalidInput(str(fault)) from None
    return number


def _wishes(data: bytes) -> list[Wish]:
    wishes = []
    for one in _commands(data):
        if not isinstance(one, Wish):
            raise InvalidInput("only open and wide can be tried without doing them")
        wishes.append(one)
    return wishes


def _commands(data: bytes) -> Iterator[Any]:
    """A :class:`Wish`, or what else to do with :class:`Breakpoints`, for each line."""
    for number, line in lines(_text(data)):
        try:
            command = _command(*line.split())
        except InvalidInput as error:
            error.add_note(f"line {number}")
            raise
        yield replace(command, line=number) if isinstance(command, Wish) else command


def _command(verb: str, *words: str) -> Any:
    if verb not in _VERBS:
        raise InvalidInput(f"{verb!r} is not one of {', '.join(_VERBS)}")
    usage, make = _VERBS[verb]
    try:
        return make(*read_words(usage, list(words), _KINDS))
    except Fault as fault:
        raise InvalidInput(f"{verb}: {fault}") from None


def _text(data: bytes) -> str:
    if len(data) > MAX_REQUEST:
        raise InvalidInput(f"a request has {MAX_REQUEST} bytes at most, not {len(data)}")
    try:
        return data.split(b"\0")[0].decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"a request is UTF-8, and byte {error.start} of it is not") from None
