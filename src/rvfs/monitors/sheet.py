"""A TOML file whose faults know their line.

tomllib tells where a file stops being TOML, but not where a key stands. A key is looked
for at the start of the lines of its table; where that does not give exactly one line, the
place is that of the table, or none (0).
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from rvfs.errors import ModelError

Table = Mapping[str, Any]

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TYPE_NAMES: Mapping[type, str] = {str: "a text in quotes", list: "a list"}


class Sheet:
    """A TOML text that consists of some keys and then an array of tables, ``[[array]]``.

    Faults are collected with :meth:`fault` and raised together by :meth:`stop`. A place is
    given as a key and the number of its table in the array (None: before the array).
    """

    def __init__(self, text: str, *, file: str, array: str) -> None:
        """Raises :class:`ModelError` for a text that is not TOML."""
        self.file = file
        self.faults: list[ModelError] = []
        try:
            self.top: Table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _not_toml(str(error), text, file) from None
        entries = self.top.get(array, [])
        is_array = isinstance(entries, list) and all(isinstance(e, dict) for e in entries)
        self.tables: tuple[Table, ...] = tuple(entries) if is_array else ()
        self._lines = text.splitlines()
        header = re.compile(rf"\s*\[\[\s*{array}\s*\]\]")
        headers = [i for i, line in enumerate(self._lines) if header.match(line)]
        self._starts = headers if len(headers) == len(self.tables) else []
        if not is_array:
            self.fault(f"expected [[{array}]] tables", array)

    def place(self, key: str, number: int | None = None) -> tuple[int, int]:
        """Line and column of a key, from 1; (0, 0) where that cannot be told for sure."""
        start, stop = self._extent(number)
        pattern = re.compile(rf'(\s*)("?){re.escape(key)}\2\s*=')
        matches = {i: pattern.match(self._lines[i]) for i in range(start, stop)}
        match [(i, m) for i, m in matches.items() if m]:
            case [(line, found)]:
                return line + 1, len(found[1]) + 1
        return (start + 1, 1) if number is not None and stop else (0, 0)

    def _extent(self, number: int | None) -> tuple[int, int]:
        """First and behind-last line of a table."""
        bounds = [*self._starts, len(self._lines)]
        if number is None:
            return 0, bounds[0]
        return (bounds[number], bounds[number + 1]) if self._starts else (0, 0)

    def fault(self, message: str, key: str, number: int | None = None) -> None:
        line, column = self.place(key, number)
        self.faults.append(ModelError(message, file=self.file, line=line, column=column))

    def stop(self) -> None:
        """Raise the faults, if there are any: the first, with the others in ``also``."""
        if self.faults:
            raise ModelError.first_of(self.faults)

    def warning(self, message: str, key: str, number: int | None = None) -> str:
        line, _ = self.place(key, number)
        return f"{self.file}{f':{line}' if line else ''}: warning: {message}"

    def check(self, table: Table, types: Mapping[str, type], number: int | None = None) -> Table:
        """The keys that are known and of the right type; the others are faults."""
        for key, value in table.items():
            if key not in types:
                self.fault(f"unknown key {key!r} (known: {', '.join(types)})", key, number)
            elif not isinstance(value, types[key]):
                self.fault(f"{key} wants {_TYPE_NAMES[types[key]]}, not {value!r}", key, number)
        return {k: v for k, v in table.items() if k in types and isinstance(v, types[k])}

    def require(self, table: Table, key: str, meaning: str, number: int | None = None) -> str:
        """The text under a key; a fault if there is none."""
        if key not in (self.top if number is None else self.tables[number]):
            self.fault(f"{key!r} is missing: {meaning}", key, number)
        return str(table.get(key, ""))


def _not_toml(message: str, text: str, file: str) -> ModelError:
    place = _TOML_PLACE.search(message)
    line, column = (int(n) for n in place.groups(default="0")) if place else (0, 0)
    return ModelError(
        _TOML_PLACE.sub("", message),
        file=file, line=line or text.count("\n") + 1, column=column,
    )  # fmt: skip
