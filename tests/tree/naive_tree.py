"""What any sequence of commands makes of a tree: a naive model, and who sends the commands.

The model knows two kinds of lamp (0 and 1, which call an event differently): a model of one
kind fits the bindings of the same kind only. Every rule is spelled out where it applies.
"""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.tree.test_loading import BINDINGS, LAMP, OTHER, OTHER_BINDINGS, load

NAMES = ("a", "b", "c", "d")
SLOTS = 2
BAD = 9
#: Kind → text; the bindings 2 and 3 are those of 0 and 1, per task.
MODELS = {0: LAMP, 1: OTHER, BAD: LAMP[:100]}
SHEETS = {
    0: BINDINGS, 1: OTHER_BINDINGS, 2: BINDINGS.replace('"cpu"', '"task"'),
    3: OTHER_BINDINGS.replace('"cpu"', '"task"'), BAD: BINDINGS[:60],
}  # fmt: skip
DESCRIPTIONS = {None: "", 0: "a lamp", 1: "another", 2: "a lamp", 3: "another"}


class Refused(Exception):
    """The model, or the tree, says no."""


@dataclass
class Known:
    """One monitor."""

    name: str
    parent: str | None
    born: int
    model: int | None = None
    sheet: int | None = None
    on: bool = False

    @property
    def whole(self) -> bool:
        return self.model is not None and self.sheet is not None

    @property
    def is_container(self) -> bool:
        return self.model is None and self.sheet is None

    @property
    def needs_slot(self) -> bool:
        return self.whole and self.sheet in (2, 3)


@dataclass
class Naive:
    """Every rule, without a thought for what it costs."""

    known: dict[str, Known] = field(default_factory=dict)
    births: int = 0

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        before = copy.deepcopy(self.known)
        try:
            yield
            slots = sum(one.on and one.needs_slot for one in self.known.values())
            self.demand(slots <= SLOTS)
        except Refused:
            self.known = before
            raise

    @staticmethod
    def demand(condition: object) -> None:
        if not condition:
            raise Refused

    def children(self, name: str) -> list[Known]:
        return [one for one in self.known.values() if one.parent == name]

    def mkdir(self, name: str, parent: str | None) -> None:
        self.demand(name not in self.known)
        if parent is not None:
            self.demand(parent in self.known)
            above = self.known[parent]
            self.demand(above.parent is None and above.is_container)
        self.births += 1
        self.known[name] = Known(name, parent, self.births)

    def rmdir(self, name: str) -> None:
        self.demand(name in self.known and not self.children(name))
        del self.known[name]

    def put(self, name: str, *, model: int | None = None, sheet: int | None = None) -> None:
        self.demand(name in self.known)
        old = self.known[name]
        new = replace(
            old,
            model=old.model if model is None else model,
            sheet=old.sheet if sheet is None else sheet,
        )
        self.demand(BAD not in (new.model, new.sheet))
        self.demand(not new.whole or new.model == (new.sheet or 0) % 2)
        self.demand(new.is_container or not self.children(name))
        new.on = old.on and (new.whole or new.is_container)
        with self.all_or_nothing():
            self.known[name] = new

    def switch(self, name: str, on: bool) -> None:
        self.demand(name in self.known)
        family = [*self.children(name), self.known[name]]
        self.demand(not on or all(one.whole or one.is_container for one in family))
        with self.all_or_nothing():
            for one in family:
                self.known[one.name].on = on

    def load(self, items: list[dict[str, Any]], *, replacing: bool) -> None:
        with self.all_or_nothing():
            # What a name is now is looked at before the first of them changes anything.
            for item in items:
                known = self.known.get(item["name"])
                self.demand(known is None or (replacing and known.parent == item["parent"]))
            for item in items:
                if item["name"] not in self.known:
                    self.mkdir(item["name"], item["parent"])
                if item["model"] is not None:
                    self.put_both(item)

    def put_both(self, item: dict[str, Any]) -> None:
        model, sheet = item["model"], item["sheet"]
        old = self.known[item["name"]]
        self.demand(BAD not in (model, sheet) and model == sheet % 2)
        self.demand(not self.children(item["name"]))
        self.known[item["name"]] = replace(old, model=model, sheet=sheet)

    # -- what the tree shows ---------------------------------------------------------------

    def listing(self) -> list[Known]:
        tops = sorted((k for k in self.known.values() if k.parent is None), key=lambda k: k.born)
        return [
            one
            for top in tops
            for one in (top, *sorted(self.children(top.name), key=lambda k: -k.born))
        ]

    def path(self, one: Known) -> str:
        return f"{one.parent}:{one.name}" if one.parent else one.name


class Tree(Protocol):
    """Somebody to send commands to; each raises :class:`Refused`."""

    def mkdir(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def put(self, path: str, text: str) -> None: ...
    def echo(self, text: str, path: str) -> None: ...
    def cat(self, path: str) -> str: ...
    def open(self, path: str) -> Any: ...
    def read(self, opened: Any) -> str: ...
    def close(self, opened: Any) -> None: ...


@dataclass
class Reader:
    """Somebody who has a file of a monitor open."""

    opened: Any
    one: Known
    file: str


class Sequence:
    """Random commands to a tree and to the model; both must agree, whatever comes."""

    def __init__(self, tree: Tree, seed: int, shown: Callable[[int], str]) -> None:
        self.tree, self.random, self.naive = tree, random.Random(seed), Naive()
        self.readers: list[Reader] = []
        self._shown = shown

    def run(self, count: int) -> None:
        self.go_on(count)
        self.end()

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self.random.choice(self.COMMANDS)(self)
            self.compare()

    def end(self) -> None:
        """Everybody goes."""
        for reader in self.readers:
            self.tree.close(reader.opened)
        for one in reversed(self.naive.listing()):
            if one.parent:
                self.tree.rmdir(self.folder(one))
        for one in self.naive.listing():
            if not one.parent:
                self.tree.rmdir(self.folder(one))

    def folder(self, one: Known) -> str:
        return "monitors/" + self.naive.path(one).replace(":", "/")

    def both(self, model: Callable[[], object], tree: Callable[[], object]) -> None:
        said = []
        for do in (model, tree):
            try:
                do()
                said.append(True)
            except Refused:
                said.append(False)
        assert said[0] == said[1]

    def compare(self) -> None:
        shown = [line for line in self.tree.cat("available_monitors").split() if self.ours(line)]
        assert shown == [self.naive.path(one) for one in self.naive.listing()]
        on = [line for line in self.tree.cat("enabled_monitors").split() if self.ours(line)]
        assert on == [self.naive.path(one) for one in self.naive.listing() if one.on]

    @staticmethod
    def ours(line: str) -> bool:
        return line.rpartition(":")[2] in NAMES

    # -- commands --------------------------------------------------------------------------

    def any_known(self) -> Known | None:
        return self.random.choice([*self.naive.known.values(), None])

    def mkdir(self) -> None:
        name = self.random.choice(NAMES)
        above = self.any_known()
        below = self.folder(above) if above else "monitors"
        self.both(
            lambda: self.naive.mkdir(name, above.name if above else None),
            lambda: self.tree.mkdir(f"{below}/{name}"),
        )

    def rmdir(self) -> None:
        if one := self.any_known():
            folder = self.folder(one)
            self.both(lambda: self.naive.rmdir(one.name), lambda: self.tree.rmdir(folder))

    def put_model(self) -> None:
        if one := self.any_known():
            kind, folder = self.random.choice([0, 0, 1, BAD]), self.folder(one)
            self.both(
                lambda: self.naive.put(one.name, model=kind),
                lambda: self.tree.put(f"{folder}/model", MODELS[kind]),
            )

    def put_sheet(self) -> None:
        if one := self.any_known():
            kind, folder = self.random.choice([0, 2, 2, 1, 3, BAD]), self.folder(one)
            self.both(
                lambda: self.naive.put(one.name, sheet=kind),
                lambda: self.tree.put(f"{folder}/bindings", SHEETS[kind]),
            )

    def switch(self) -> None:
        if one := self.any_known():
            on = self.random.random() < 0.7
            self.both(
                lambda: self.naive.switch(one.name, on),
                lambda: self.tree.echo(str(int(on)), f"{self.folder(one)}/enable"),
            )

    def load(self) -> None:
        replacing = self.random.random() < 0.5
        items = [self.item(name) for name in self.random.sample(NAMES, 2)]
        texts = [
            {"name": item["name"]}
            | ({"parent": item["parent"]} if item["parent"] else {})
            | {"model": MODELS[item["model"]], "bindings": SHEETS[item["sheet"]]}
            for item in items
        ]
        document = load(*texts, replace=replacing)
        self.both(
            lambda: self.naive.load(items, replacing=replacing),
            lambda: self.tree.put("load", document),
        )

    def item(self, name: str) -> dict[str, Any]:
        known = self.naive.known.get(name)
        above = self.any_known()
        parent = known.parent if known else above.name if above else None
        sheet = self.random.choice([0, 1, 2, 3, BAD])
        return {"name": name, "parent": parent, "model": sheet % 2, "sheet": sheet}

    def open_file(self) -> None:
        if one := self.any_known():
            file = self.random.choice(("model", "enable", "desc"))
            self.readers.append(Reader(self.tree.open(f"{self.folder(one)}/{file}"), one, file))

    def read(self) -> None:
        for reader in self.readers:
            now = self.naive.known.get(reader.one.name)
            if now is None or now.born != reader.one.born:
                self.both(self.refuse, lambda: self.tree.read(reader.opened))  # noqa: B023
            else:
                assert self.tree.read(reader.opened) == self.expected(now, reader.file)

    @staticmethod
    def refuse() -> None:
        raise Refused

    def expected(self, one: Known, file: str) -> str:
        if file == "enable":
            return f"{int(one.on)}\n"
        if file == "desc":
            return f"{DESCRIPTIONS[one.sheet]}\n"
        return "" if one.model is None else self._shown(one.model)

    def close(self) -> None:
        if self.readers:
            self.tree.close(self.readers.pop(self.random.randrange(len(self.readers))).opened)

    COMMANDS = (
        mkdir, mkdir, rmdir, put_model, put_model, put_sheet, put_sheet, switch, switch, load,
        open_file, open_file, read, close,
    )  # fmt: skip
