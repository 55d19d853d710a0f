"""One monitor from its texts: the model, and the bindings beside it or within it.

========  ============  ================================  ==========================
language  suffix        a text of it begins with          bindings within it
========  ============  ================================  ==========================
DOT       .dot, .gv     ``digraph``, ``strict``, …        lines ``//! TOML``
LTL       .ltl          anything else                     lines ``#! TOML``
========  ============  ================================  ==========================

So one file can be a whole monitor. For whoever reads only the model, the bindings within it are
comments.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rvfs.errors import ModelError
from rvfs.model.text import ModelText
from rvfs.monitor import Model, Monitor
from rvfs.monitors.bindings import Bindings, read_bindings
from rvfs.monitors.fitting import check_fit, doubts, monitor_of
from rvfs.tracepoint import Vocabulary


class Language(NamedTuple):
    """What reads a model file, and how its lines with bindings begin."""

    read: Callable[..., ModelText[Model]]
    marker: str


# Their grammars take longer to load than all else: they are loaded by who has a text to read.


def _read_dot(text: str, *, file: str, name: str) -> ModelText[Model]:
    from rvfs.model.dot import parse_dot

    return parse_dot(text, file=file, name=name)


def _read_ltl(text: str, *, file: str, name: str) -> ModelText[Model]:
    from rvfs.model.ltl import parse_ltl

    return parse_ltl(text, file=file, name=name)


DOT = Language(_read_dot, "//!")
LTL = Language(_read_ltl, "#!")
#: What a model file may be, by its suffix.
LANGUAGES: Mapping[str, Language] = {".dot": DOT, ".gv": DOT, ".ltl": LTL}

_SPACE_OR_COMMENT = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*|#[^\n]*)*", re.DOTALL)
_GRAPH = re.compile(r"(?:strict|graph|digraph)\b(?!\s*=)", re.IGNORECASE)


class Text(NamedTuple):
    """A text, and what it is called in errors."""

    text: str
    file: str


def decode(data: bytes, *, file: str) -> Text:
    """Lines ended by ``\\n``, without the mark that some editors begin with.

    Raises :class:`ModelError` with the place of what is not UTF-8.
    """
    data = data.removeprefix(BOM_UTF8)
    try:
        return Text(data.decode().replace("\r\n", "\n").replace("\r", "\n"), file)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().split("\n")
        raise ModelError(
            "not UTF-8 text", file=file, line=len(before), column=len(before[-1]) + 1
        ) from None


@dataclass(frozen=True, slots=True)
class Texts:
    """What a monitor was made of, as it was written; None is what is not there."""

    model: str | None = None
    bindings: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A monitor, the children of a container in the order of registration, and warnings.

    What is not ``bound`` has a model and no bindings, neither beside it nor within it.
    ``texts`` are what it was read from.
    """

    monitor: Monitor
    children: tuple["Loaded", ...] = ()
    warnings: tuple[str, ...] = ()
    bound: bool = True
    texts: Texts = field(default=Texts(), compare=False)

    def __iter__(self) -> Iterator["Loaded"]:
        """This one and all below it."""
        yield self
        for child in self.children:
            yield from child


def load_texts(
    name: str,
    model_text: str | None,
    bindings_text: str | None,
    vocabulary: Vocabulary,
    *,
    file: str = "model",
    bindings_file: str = "bindings",
) -> Loaded:
    """What these texts make of a monitor; the language of the model is told by its content.

    ``file`` and ``bindings_file`` are what the texts are called in errors. Either text may be
    missing: what has no model yet is a container, whose children are not looked for here; a
    model without bindings is not ``bound``. Raises :class:`ModelError`.
    """
    beside = None
    if bindings_text is not None:
        beside = read_bindings(bindings_text, file=bindings_file)
    if model_text is None:
        if beside:
            check_fit(beside, None, vocabulary)
        return Loaded(
            Monitor(name, beside.description if beside else ""), texts=Texts(None, bindings_text)
        )
    model, language = Text(model_text, file), language_of(model_text)
    return join(name, model, language, bindings_of(model, language, beside), vocabulary)


def language_of(text: str) -> Language:
    """The language of a model that has no file name."""
    start = _SPACE_OR_COMMENT.match(text)
    is_graph = _GRAPH.match(text, start.end() if start else 0)
    return DOT if is_graph else LTL


def bindings_of(model: Text, language: Language, beside: Bindings | None) -> Bindings | None:
    """The bindings of a model, from beside it or within it; None without any.

    Raises :class:`ModelError` where there are both.
    """
    line, within = _within(model.text, language.marker)
    if not line:
        return beside
    if beside is not None:
        both = f"it carries bindings, and there is {beside.sheet.file}; expected one of them"
        raise ModelError(both, file=model.file, line=line)
    return read_bindings(within, file=model.file)


def carries_bindings(model: str) -> bool:
    """Whether there are bindings within the text of a model."""
    line, _ = _within(model, language_of(model).marker)
    return bool(line)


def _within(text: str, marker: str) -> tuple[int, str]:
    """The first line with bindings (0: none has), and them, each in its place of the text."""
    pattern = re.compile(rf"(\s*{re.escape(marker)})(?:\s|$)")
    marked = {i: match for i, line in enumerate(text.split("\n")) if (match := pattern.match(line))}
    lines = [
        " " * len(marked[i][1]) + line[len(marked[i][1]) :] if i in marked else ""
        for i, line in enumerate(text.split("\n"))
    ]
    return (min(marked) + 1, "\n".join(lines)) if marked else (0, "")


def join(
    name: str, model: Text, language: Language, bindings: Bindings | None, vocabulary: Vocabulary
) -> Loaded:
    """The monitor of a model and its bindings. Raises :class:`ModelError`."""
    if bindings and bindings.children is not None:
        bindings.sheet.fault(f"{model.file} is a model, so this is no container", "children")
        bindings.sheet.stop()
    read = language.read(model.text, file=model.file, name=name)
    if bindings is None:
        unbound = Monitor(name, "", model=read.model)
        return Loaded(unbound, (), read.warnings, bound=False, texts=Texts(model.text))
    monitor = monitor_of(name, read.model, bindings, vocabulary)
    beside = None if bindings.sheet.file == model.file else bindings.sheet.text
    warnings = (*read.warnings, *doubts(bindings, read.model, vocabulary))
    return Loaded(monitor, (), warnings, texts=Texts(model.text, beside))
