"""Inode numbers of nodes, and the names under which the kernel has been given them."""

import itertools
from collections import Counter
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from rvfs.files import Node

ROOT = 1


class Inodes(dict[int, Node]):
    """Number → node. A number is good until the kernel has forgotten it; a node keeps its
    number for life.

    ``fresh`` gives numbers that were never used.
    """

    def __init__(self, root: Node, fresh: "itertools.count[int]") -> None:
        super().__init__({ROOT: root})
        self._fresh = fresh
        self._numbers: WeakKeyDictionary[Node, int] = WeakKeyDictionary()
        self._numbers[root] = ROOT
        self._lookups: Counter[int] = Counter({ROOT: 1})
        self._places: dict[int, tuple[int, str]] = {}
        self._names: dict[int, dict[str, int]] = {}

    def number(self, node: Node) -> int:
        """The number that those who look the node up are given."""
        if node not in self._numbers:
            self._numbers[node] = next(self._fresh)
        return self._numbers[node]

    def names(self, folder: int) -> Mapping[str, int]:
        """What the kernel may know in a folder: name → number."""
        return self._names.get(folder, {})

    def retire(self, node: Node) -> None:
        """The next one who looks the node up gets another number."""
        self._numbers.pop(node, None)

    def looked_up(self, node: Node, folder: int, name: str) -> None:
        """The kernel was given the node's number once more, as a name in a folder."""
        number = self.number(node)
        self[number] = node
        self._lookups[number] += 1
        self._places[number] = folder, name
        self._names.setdefault(folder, {})[name] = number

    def forget(self, number: int, lookups: int) -> bool:
        """The kernel has dropped so many of them, and the inode if that is true; never fails."""
        self._lookups[number] -= lookups
        if self._lookups[number] <= 0:
            del self._lookups[number]
            self.pop(number, None)
            self._forget_name(number)
            return True
        return False

    def _forget_name(self, number: int) -> None:
        folder, name = self._places.pop(number, (0, ""))
        names = self._names.get(folder, {})
        if names.get(name) == number:
            del names[name]
            if not names:
                del self._names[folder]
