"""``docs/adding-a-monitor.md``: what it prints is what a reader gets."""

import re
from pathlib import Path

import pytest

from rvfs.cli import main
from rvfs.monitors import load_file, load_monitor

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "adding-a-monitor.md").read_text()


def block(language: str, number: int = 0) -> str:
    """The text of a fenced block of the page."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found[number])


def printed(command: str) -> str:
    """What the page says that a command prints."""
    found = re.search(
        rf"^\$ {re.escape(command)}\n(.*?)^(?:\$ |```)", PAGE, re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return found[1]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a reader who has typed the page up to `Check it`."""
    folder = tmp_path / "my-monitors" / "rww"
    folder.mkdir(parents=True)
    (folder / "rww.dot").write_text(block("dot"))
    (folder / "rww.toml").write_text(block("toml"))
    (tmp_path / "rec.txt").write_text(block("text"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("command", ["check", "show"])
def test_model_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", command, "my-monitors/rww"]) == 0
    assert capsys.readouterr().out == printed(f"rvfs model {command} my-monitors/rww")


def test_the_fault(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = reader / "rww.dot"
    head, tail = model.read_text().rsplit("asleep", 1)
    model.write_text(f"{head}asleap{tail}")
    assert main(["model", "check", "my-monitors/rww"]) == 2
    fault = capsys.readouterr().err
    assert f"$ rvfs model check my-monitors/rww\n{fault}```" in PAGE


def test_nothing_in_it_is_doubtful(reader: Path) -> None:
    assert load_monitor(reader).warnings == ()


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("model", [["-m", "rww", "--monitors", "my-monitors"],
                                   ["--model", "my-monitors/rww/rww.dot"]])  # fmt: skip
def test_the_check_of_the_recording(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "rec.txt", *model]) == 1
    out, err = capsys.readouterr()
    assert out + err == printed("rvfs check rec.txt -m rww --monitors my-monitors")


@pytest.mark.usefixtures("reader")
def test_the_listing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--monitors", "my-monitors"]) == 0
    assert capsys.readouterr().out.endswith("\n" + printed("rvfs list | tail -n 1"))


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory of a reader who has recorded the talk, and written the models of it."""
    (tmp_path / "talk.txt").write_text((DOCS / "talk.txt").read_text())
    (tmp_path / "answer.dot").write_text(block("dot", 1))
    (tmp_path / "turns.ltl").write_text(block("ltl"))
    monkeypatch.chdir(tmp_path)


LISTENING = [
    ("model bind answer.dot --trace talk.txt", 0),
    ("model show answer.dot", 0),
    ("check talk.txt --model answer.dot", 1),
    ("model check turns.ltl", 0),
    ("check talk.txt --model turns.ltl", 1),
]


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(("command", "status"), LISTENING)
def test_the_talk(command: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    if "bind" not in command:
        Path("answer.toml").write_text(block("toml", 1))
    assert main(command.split()) == status
    out, err = capsys.readouterr()
    assert out + err == printed(f"rvfs {command}")


@pytest.mark.usefixtures("listener")
def test_what_bind_writes_is_what_remains_to_be_edited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "bind", "answer.dot", "--trace", "talk.txt", "-o", "answer.toml"]) == 0
    written, edited = load_file(Path("answer.dot")), block("toml", 1)
    Path("answer.toml").write_text(edited)
    assert written.warnings == load_file(Path("answer.dot")).warnings == ()
    assert capsys.readouterr() == ("", "")


def test_the_talk_is_recorded_as_the_page_says() -> None:
    assert len(block("bash", 0).splitlines()) == 7
    recorded = (DOCS / "talk.txt").read_text()
    events = set(re.findall(r"^ .*?\d: (\w+): ", recorded, re.MULTILINE))
    assert events == {"sched_switch", "sched_waking", "sys_enter", "sys_exit"}
