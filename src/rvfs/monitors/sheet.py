"""A TOML file whose faults know their line.

tomllib tells where a file stops being TOML, but not where a key stands. A key is looked
for at the start of the lines of its table; where that does not give exactly one line, the
place is that of the table, or none (0).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from rvfs.errors import ModelError

Table = Mapping[str, Any]
#: Which table: a number in the array, the name of a table of its own, or None: what is before.
Where: TypeAlias = int | str | None

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HEADER = re.compile(r"\s*(?:\[\[\s*(?P<array>[\w-]+)\s*\]\]|\[\s*(?P<table>[\w-]+)\s*\])")
_TYPE_NAMES: Mapping[type, str] = {str: "a text in quotes", list: "a list", dict: "a table"}


class Sheet:
    """A TOML text that consists of keys, tables of its own, and an array of tables, ``[[array]]``.

    Faults are collected with :meth:`fault` and raised together by :meth:`stop`. A place is
    given as a key and the table it is in.
    """

    def __init__(self, text: str, *, file: str, array: str) -> None:
        """Raises :class:`ModelError` for a text that is not TOML."""
        self.file, self.text = file, text
        self.faults: list[ModelError] = []
        try:
            self.top: Table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _not_toml(str(error), text, file) from None
        entries = self.top.get(array, [])
        is_array = isinstance(entries, list) and all(isinstance(e, dict) for e in entries)
        self.tables: tuple[Table, ...] = tuple(entries) if is_array else ()
        self._lines = text.splitlines()
        self._extents = self._sections(array)
        if not is_array:
            self.fault(f"expected [[{array}]] tables", array)

    def _sections(self, array: str) -> dict[Where, tuple[int, int]]:
        """First and behind-last line of every table; only the whole where that is not sure."""
        starts = [(None, 0), *self._headers(array)]
        ends = [*(line for _, line in starts[1:]), len(self._lines)]
        found: dict[Where, tuple[int, int]] = {
            where: (start, end) for (where, start), end in zip(starts, ends, strict=True)
        }
        numbers = [where for where, _ in starts if isinstance(where, int)]
        return found if len(numbers) == len(self.tables) else {None: (0, len(self._lines))}

    def _headers(self, array: str) -> Iterator[tuple[Where, int]]:
        number = 0
        for line, text in enumerate(self._lines):
            header = _HEADER.match(text)
            if header and header["array"] == array:
                yield number, line
                number += 1
            elif header and isinstance(self.top.get(header["table"]), dict):
                yield header["table"], line

    def place(self, key: str, where: Where = None) -> tuple[int, int]:
        """Line and column of a key, from 1; (0, 0) where that cannot be told for sure."""
        start, stop = self._extents.get(where, (0, 0))
        pattern = re.compile(rf'(\s*)("?){re.escape(key)}\2\s*=')
        matches = {i: pattern.match(self._lines[i]) for i in range(start, stop)}
        match [(i, m) for i, m in matches.items() if m]:
            case [(line, found)]:
                return line + 1, len(found[1]) + 1
        if isinstance(where, str) and not stop:
            return self.place(where)  # an inline table
        if where is None:
            start, stop = self._extents.get(key, (0, 0))  # a table of its own
        return (start + 1, 1) if stop else (0, 0)

    def fault(self, message: str, key: str, where: Where = None) -> None:
        line, column = self.place(key, where)
        self.faults.append(ModelError(message, file=self.file, line=line, column=column))

    def stop(self) -> None:
        """Raise the faults, if there are any: the first, with the others in ``also``."""
        if self.faults:
            raise ModelError.first_of(self.faults)

    def warning(self, message: str, key: str, where: Where = None) -> str:
        line, _ = self.place(key, where)
        return f"{self.file}{f':{line}' if line else ''}: warning: {message}"

    def check(self, table: Table, types: Mapping[str, type], where: Where = None) -> Table:
        """The keys that are known and of the right type; the others are faults."""
        for key, value in table.items():
            if key not in types:
                self.fault(f"unknown key {key!r} (known: {', '.join(types)})", key, where)
            elif not isinstance(value, types[key]):
                self.fault(f"{key} wants {_TYPE_NAMES[types[key]]}, not {value!r}", key, where)
        return {k: v for k, v in table.items() if k in types and isinstance(v, types[k])}

    def require(self, table: Table, key: str, meaning: str, where: int | None = None) -> str:
        """The text under a key; a fault if there is none."""
        if key not in (self.top if where is None else self.tables[where]):
            self.fault(f"{key!r} is missing: {meaning}", key, where)
        return str(table.get(key, ""))


def _not_toml(message: str, text: str, file: str) -> ModelError:
    place = _TOML_PLACE.search(message)
    line, column = (int(n) for n in place.groups(default="0")) if place else (0, 0)
    return ModelError(
        _TOML_PLACE.sub("", message),
        file=file, line=line or text.count("\n") + 1, column=column,
    )  # fmt: skip
