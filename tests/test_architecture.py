"""The rooms of rvfs, and what each may know.

Every rule is a function from a folder to sentences, one for each place that breaks it. The
first half of the tests holds rvfs to the rules; the second shows that each rule can fail.
"""

import ast
import graphlib
import importlib.util
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src"

#: Lowest first: a file imports from its own room and from those above it in this list.
ROOMS = (
    "errors", "news", "extras", "codec", "tracepoint", "event", "_stepper", "_decoder", "model",
    "columns", "monitor", "select", "program", "clockwork", "inside", "running", "engine", "hwbp",
    "monitors", "reactors", "source", "judging", "trace", "task_slots", "change", "bundle",
    "registered", "building", "registry", "pump", "logbook", "state", "workshop", "written",
    "files", "inside_files", "monitor_files", "hwbp_files", "readers", "pipe", "tree", "machine",
    "inodes", "handles", "leases", "_libfuse", "_loop", "fs", "daemon", "testing", "cli",
    "__main__",
)  # fmt: skip
#: What waits, and so knows trio; everywhere else below ``fs`` a function runs to its end.
RIM = {"source", "pump", "pipe", "_loop", "fs", "daemon"}
FUSE = {"fs"}
SPEAKS = {"cli"}

LONGEST_FILE = 450

Rule = Callable[[Path], Iterator[str]]
Module = tuple[str, Path, ast.Module]


def modules(source: Path) -> Iterator[Module]:
    """(dotted name, path, tree) of every module below ``source``."""
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path, ast.parse(path.read_text(), str(path))


def room(module: str) -> str:
    """``rvfs.source.sim`` → ``source``; the package itself is nobody's room."""
    return module.split(".")[1] if "." in module else ""


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of all that a module imports, wherever in the file."""
    name, path, tree = module
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def own_imports(source: Path) -> Iterator[tuple[Module, str, int]]:
    """(importer, imported module, line) for the modules below ``source``."""
    known = list(modules(source))
    names = {name for name, _, _ in known}
    for module in known:
        for target, line in imports(module):
            imported = target if target in names else target.rpartition(".")[0]
            if imported in names:
                yield module, imported, line


def uses(source: Path, package: str, allowed: set[str]) -> Iterator[str]:
    for module in modules(source):
        for target, line in imports(module):
            if target.split(".")[0] == package and room(module[0]) not in allowed:
                yield f"{module[1].name}:{line} imports {package}"


def strays_into_a_higher_room(source: Path) -> Iterator[str]:
    for (name, path, _), imported, line in own_imports(source):
        own, other = room(name), room(imported)
        if own in ROOMS and other in ROOMS and ROOMS.index(other) > ROOMS.index(own):
            yield f"{path.name}:{line} ({own}) imports {imported}, which lies above it"


def is_in_no_room(source: Path) -> Iterator[str]:
    for name, path, _ in modules(source):
        if "." in name and room(name) not in ROOMS:
            yield f"{path.name} is in no room: give {room(name)} its place in ROOMS"


def goes_in_a_circle(source: Path) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for (name, _, _), imported, _ in own_imports(source):
        if imported != name:
            graph.setdefault(name, set()).add(imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield " → ".join(reversed(error.args[1]))


def knows_fuse(source: Path) -> Iterator[str]:
    yield from uses(source, "pyfuse3", FUSE)


def knows_trio(source: Path) -> Iterator[str]:
    yield from uses(source, "trio", RIM | {*ROOMS[ROOMS.index("fs") :]})


def waits(source: Path) -> Iterator[str]:
    for name, path, tree in modules(source):
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef) and room(name) not in RIM:
                yield f"{path.name}:{node.lineno} async def {node.name}"


def speaks(source: Path) -> Iterator[str]:
    for name, path, tree in modules(source):
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print" and room(name) not in SPEAKS:
                yield f"{path.name}:{called.lineno} prints"


def is_too_long(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*.py")):
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE:
            yield f"{path.name} has {lines} lines; {LONGEST_FILE} is a lot"


def gives_no_reason(repository: Path) -> Iterator[str]:
    """Dependencies in ``pyproject.toml`` without a comment behind them."""
    text = (repository / "pyproject.toml").read_text()
    project = tomllib.loads(text)
    wanted = [*project["project"]["dependencies"]]
    for group in project.get("dependency-groups", {}).values():
        wanted += group
    for requirement in wanted:
        behind = text.partition(f'"{requirement}",')[2].partition("\n")[0]
        if not behind.strip().startswith("# "):
            yield f"pyproject.toml: {requirement} does not say why it is there"


RULES: tuple[Rule, ...] = (
    is_in_no_room, strays_into_a_higher_room, goes_in_a_circle, knows_fuse, knows_trio, waits,
    speaks, is_too_long,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_no_module_of_rvfs(rule: Rule) -> None:
    assert list(rule(SOURCE)) == []


def test_no_file_of_the_tests_is_too_long() -> None:
    assert list(is_too_long(REPOSITORY / "tests")) == []


def test_no_dependency_is_unexplained() -> None:
    assert list(gives_no_reason(REPOSITORY)) == []


#: A rule, the files of a package that breaks it once, and the sentence.
OFFENDERS: tuple[tuple[Rule, dict[str, str], str], ...] = (
    (is_in_no_room, {"attic.py": ""}, "attic.py is in no room: give attic its place in ROOMS"),
    (
        strays_into_a_higher_room,
        {"model/dot.py": "def f():\n    from rvfs import engine", "engine.py": ""},
        "dot.py:2 (model) imports rvfs.engine, which lies above it",
    ),
    (
        strays_into_a_higher_room,
        {"event.py": "from .pump import Pump", "pump.py": "Pump = 1"},
        "event.py:1 (event) imports rvfs.pump, which lies above it",
    ),
    (
        goes_in_a_circle,
        {"model/__init__.py": "", "model/a.py": "from rvfs.model.b import x",
         "model/b.py": "import rvfs.model.a"},
        "rvfs.model.a → rvfs.model.b → rvfs.model.a",
    ),
    (knows_fuse, {"tree.py": "import pyfuse3"}, "tree.py:1 imports pyfuse3"),
    (knows_trio, {"engine.py": "from trio.lowlevel import x"}, "engine.py:1 imports trio"),
    (waits, {"tree.py": "async def read(): ..."}, "tree.py:1 async def read"),
    (speaks, {"fs.py": "print('hello')"}, "fs.py:1 prints"),
    (is_too_long, {"fs.py": "x = 1\n" * 451}, "fs.py has 451 lines; 450 is a lot"),
)  # fmt: skip


def package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "rvfs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(("rule", "files", "sentence"), OFFENDERS)
def test_the_rule_can_fail(
    rule: Rule, files: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    assert list(rule(package(tmp_path, files))) == [sentence]


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_lets_a_good_package_pass(rule: Rule, tmp_path: Path) -> None:
    good = {
        "errors.py": "", "fs.py": "import pyfuse3, trio\nasync def read(): ...",
        "cli/__init__.py": "from rvfs import errors, fs\nprint(errors, fs)",
    }  # fmt: skip
    assert list(rule(package(tmp_path, good))) == []


@pytest.mark.parametrize("reason", ["", "#"])
def test_a_dependency_without_its_reason_is_named(reason: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\ndependencies = [\n  "trio>=0.25",  # the loop\n  "left-pad",  {reason}\n]\n'
    )
    assert list(gives_no_reason(tmp_path)) == [
        "pyproject.toml: left-pad does not say why it is there"
    ]
