"""Inode numbers of nodes."""

import itertools
from collections import Counter
from weakref import WeakKeyDictionary

from rvfs.files import Node

ROOT = 1


class Inodes:
    """A number is good until the kernel has forgotten it; a node keeps its number for life.

    ``fresh`` gives numbers that were never used.
    """

    def __init__(self, root: Node, fresh: "itertools.count[int]") -> None:
        self._fresh = fresh
        self._numbers: WeakKeyDictionary[Node, int] = WeakKeyDictionary()
        self._numbers[root] = ROOT
        self._nodes: dict[int, Node] = {ROOT: root}
        self._lookups: Counter[int] = Counter({ROOT: 1})

    def __getitem__(self, number: int) -> Node:
        return self._nodes[number]

    def __contains__(self, number: object) -> bool:
        return number in self._nodes

    def number(self, node: Node) -> int:
        """The number that those who look the node up are given."""
        if node not in self._numbers:
            self._numbers[node] = next(self._fresh)
        return self._numbers[node]

    def retire(self, node: Node) -> None:
        """The next one who looks the node up gets another number."""
        self._numbers.pop(node, None)

    def looked_up(self, node: Node) -> None:
        """The kernel was given the node's number once more."""
        number = self.number(node)
        self._nodes[number] = node
        self._lookups[number] += 1

    def forget(self, number: int, lookups: int) -> None:
        """The kernel has dropped so many of them; never fails."""
        self._lookups[number] -= lookups
        if self._lookups[number] <= 0:
            del self._lookups[number]
            self._nodes.pop(number, None)
