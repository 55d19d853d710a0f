"""The folder ``hwbp``: debug registers and the breakpoints that hold them.

::

    slots                                       the registers of each CPU, and the backend
    cpuN/{cpu_pinned,tsk_pinned,free,foreign}   by pool: P, M and who has it, room, other programs
    breakpoints                                 one line for each register that is held
    reserve  check                              take requests; see hwbp/request.py
    last_error                                  the last refusal, in a sentence
    bp/NAME/{enable,addr,len,type,target,hits}  one folder per name; rmdir releases it

A name that is released and opened again has other files; those of the first answer ENODEV.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rvfs.errors import RvfsError
from rvfs.files import (
    READ_WRITE,
    Directory,
    File,
    Listing,
    Node,
    inject,
    listing,
    text,
)
from rvfs.hwbp.breakpoint import TYPE_NAMES, Attributes, Pool, W, X
from rvfs.hwbp.held import Breakpoints, Held, holder
from rvfs.hwbp.machine import Breakpoint
from rvfs.hwbp.request import check, field, reserve
from rvfs.hwbp.table import Request
from rvfs.news import NEVER
from rvfs.written import parse_bool

#: A type that draws from each pool.
_DRAWS = {Pool.SHARED: W, Pool.DATA: W, Pool.INST: X}


def hwbp_folder(breakpoints: Breakpoints) -> Directory:
    """The folder with everything in it."""
    cpus = {f"cpu{cpu}": cpu for cpu in range(breakpoints.backend.slots.cpus)}
    folders = Directory(
        path="hwbp/bp",
        news=breakpoints.news,
        children=Listing(lambda: breakpoints.held, lambda held: _held_folder(breakpoints, held)),
    )
    files: dict[str, Node] = {
        "slots": listing("hwbp/slots", lambda: _slots(breakpoints)),
        "breakpoints": listing("hwbp/breakpoints", lambda: _breakpoints(breakpoints)),
        "reserve": inject("hwbp/reserve", lambda data: reserve(breakpoints, data)),
        "check": File(
            path="hwbp/check", mode=READ_WRITE,
            read=lambda: _line(breakpoints.last_check),
            write=lambda data: check(breakpoints, data),
        ),
        "last_error": text("hwbp/last_error", lambda: _line(breakpoints.last_error)),
        "bp": folders,
    }  # fmt: skip
    children = Listing(lambda: cpus, lambda cpu: _cpu_folder(breakpoints, cpu), files)
    return Directory(path="hwbp", children=children, news=NEVER)


def _line(words: object) -> bytes:
    """One line; nothing at all of nothing."""
    return f"{words}\n".encode() if words != "" else b""


# -- registers -------------------------------------------------------------------------------


def _slots(breakpoints: Breakpoints) -> Iterator[str]:
    backend = breakpoints.backend
    yield f"backend {backend.name}"
    if breakpoints.note:
        yield f"note {breakpoints.note}"
    yield f"arch {backend.arch.name}"
    yield f"cpus {backend.slots.cpus}"
    yield from (f"{pool} {count}" for pool, count in backend.slots.pools.items())


def _cpu_folder(breakpoints: Breakpoints, cpu: int) -> Directory:
    backend, slots = breakpoints.backend, breakpoints.backend.slots

    def task_pinned(pool: Pool) -> str:
        task, count = slots.max_task_pinned(cpu, pool)
        return f"{count} {'-' if task is None else f'task:{task}'}"

    def foreign(pool: Pool) -> str:
        """Nobody can hold a register of a CPU that is off."""
        try:
            return str(backend.foreign(cpu, _DRAWS[pool]) if cpu in backend.online else 0)
        except RvfsError as error:
            return f"unknown: {error}"

    shown: Mapping[str, Callable[[Pool], object]] = {
        "cpu_pinned": lambda pool: slots.cpu_pinned(cpu, pool),
        "tsk_pinned": task_pinned,
        "free": lambda pool: slots.room(Request(None, cpu, _DRAWS[pool])),
        "foreign": foreign,
    }
    path = f"hwbp/cpu{cpu}"
    files = {name: _by_pool(f"{path}/{name}", slots.pools, say) for name, say in shown.items()}
    return Directory(path=path, children=lambda: files, news=NEVER)


def _by_pool(path: str, pools: Iterable[Pool], say: Callable[[Pool], object]) -> File:
    return listing(path, lambda: (f"{pool} {say(pool)}" for pool in pools))


# -- breakpoints -----------------------------------------------------------------------------


def _type(attr: Attributes) -> str:
    return TYPE_NAMES.get(attr.bp_type, str(attr.bp_type))


def _target(bp: Breakpoint) -> str:
    """As in a request."""
    return f"{'-' if bp.task is None else f'task:{bp.task}'} cpu:{bp.cpu}"


def _breakpoints(breakpoints: Breakpoints) -> Iterator[str]:
    for held in breakpoints.held.values():
        for bp in held.members:
            attr, state = bp.attr, "enabled" if bp.enabled else "disabled"
            yield (
                f"{held.name} {_target(bp)} {_type(attr)} {attr.bp_len} {attr.bp_addr:#x} {state} "
                f"{holder(bp)}"
            )


def _held_folder(breakpoints: Breakpoints, held: Held) -> Directory:
    path = f"hwbp/bp/{held.name}"

    shown: Mapping[str, tuple[Callable[[], object], Callable[[bytes], None]]] = {
        "enable": (
            lambda: int(held.enabled),
            lambda data: breakpoints.enable(held, parse_bool(data)),
        ),
        "addr": (lambda: f"{held.attr.bp_addr:#x}", _change(breakpoints, held, "bp_addr", "ADDR")),
        "len": (lambda: held.attr.bp_len, _change(breakpoints, held, "bp_len", "LEN")),
        "type": (lambda: _type(held.attr), _change(breakpoints, held, "bp_type", "TYPE")),
    }
    settings = {name: _setting(breakpoints, held, name, *both) for name, both in shown.items()}
    files: dict[str, Node] = {
        **settings,
        "target": listing(
            f"{path}/target", lambda: map(_target, held.members), owner=held, news=NEVER
        ),
        "hits": text(f"{path}/hits", lambda: _line(breakpoints.hits(held)), owner=held),
    }
    return Directory(
        path=path, owner=held, children=lambda: files, news=NEVER,
        remove=lambda: breakpoints.release(held),
    )  # fmt: skip


def _change(
    breakpoints: Breakpoints, held: Held, attribute: str, kind: str
) -> Callable[[bytes], None]:
    """Another value of one attribute, written as that word of a request."""

    def put(data: bytes) -> None:
        changed: dict[str, Any] = {attribute: field(kind, data)}
        breakpoints.modify(held, replace(held.attr, **changed))

    return put


def _setting(
    breakpoints: Breakpoints, held: Held, name: str,
    show: Callable[[], object], put: Callable[[bytes], None],
) -> File:  # fmt: skip
    """What the kernel lets a live breakpoint change."""

    def write(data: bytes) -> None:
        with breakpoints.noting(f"bp/{held.name}/{name}"):
            put(data)

    return File(
        path=f"hwbp/bp/{held.name}/{name}", mode=READ_WRITE, owner=held, news=breakpoints.news,
        read=lambda: _line(show()), write=write,
    )  # fmt: skip
