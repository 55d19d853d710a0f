"""The script format: what each operation answers, and what is said of a bad line."""

import argparse
import doctest
import io
import subprocess
import sys
from pathlib import Path

import pytest

from rvfs.cli import hwbp
from rvfs.errors import InvalidInput, ModelError
from rvfs.hwbp.script import VERBS, Script

HEADER = "version 1\nconfig cpus=2 arch=x86 bpext=0 shared=4\n"


def answers(text: str, header: str = HEADER) -> list[str]:
    return [result.words for result in Script(header + text).run()]


def faults(text: str) -> list[str]:
    with pytest.raises(ModelError) as raised:
        Script(text, file="f").run()
    return [str(fault) for fault in (raised.value, *raised.value.also)]


def rvfs(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    hwbp.add_parser(parser.add_subparsers())
    args = parser.parse_args(["hwbp", "run", *arguments])
    status: int = args.run(args)
    return status


class TestOperations:
    def test_lines_are_counted_with_blanks_and_comments(self) -> None:
        results = Script("# a comment\n\nversion 1\n\n  task\ta  proc # why\n#\nfree a -1").run()
        assert [str(result) for result in results] == ["5 OK", "7 4 ENOSPC"]

    def test_tasks(self) -> None:
        assert answers("""
            task a proc
            task b thread
            exit a zombie
            exit a reap
            exit b reap
            exit nobody reap
            task a proc
            exit a reap
        """) == ["OK", "OK", "OK", "NOTASK", "OK", "NOTASK", "OK", "OK"]  # fmt: skip

    def test_open_and_close(self) -> None:
        assert answers("""
            task a proc
            open e a -1 W 8 u+0
            open e a -1 EMPTY 8 u+0
            close e
            close e
            open e - 1 rw 4 u+0x4
            open f - -1 W 8 u+0
            open f nobody 7 W 8 u+0
            free - 1
        """) == ["OK", "OK", "BUSY", "OK", "NOEV", "OK", "EINVAL", "ESRCH", "3 ENOSPC"]  # fmt: skip

    def test_attributes_and_flags(self) -> None:
        assert answers("""
            open a - 0 W 8 k+0
            open a - 0 W 8 k+0 ek=0
            open b - 0 W 8 c+0 ek=0
            open b - 0 W 16 u+0
            open b - 0 W 8 0x1000 br=1
            open b - 0 2 8 4096 ek=1 dis=0 br=0 per=9223372036854775807
            open c - 0 16 8 u+0
            open c - 0 X 1 u+0
        """) == [
            "EINVAL", "OK", "EINVAL", "EOPNOTSUPP", "EOPNOTSUPP", "OK", "EINVAL", "EINVAL",
        ]  # fmt: skip

    def test_modify(self) -> None:
        assert answers("""
            modify e W 8 u+0
            open e - 0 W 8 u+0 per=1
            modify e RW 4 u+4
            modify e RW 4 u+4 per=1
            modify e RW 4 u+4 per=1 dis=0
            modify e RW 4 u+2 per=1
            modify e RW 16 u+0 per=1
            modify e EMPTY 8 u+0 per=1
            modify e X 8 u+1 per=1
            modify e X 8 u+1 per=1 ek=0
        """) == [
            "NOEV", "OK", "EINVAL", "OK", "OK", "EINVAL", "EOPNOTSUPP", "EINVAL", "OK", "EINVAL",
        ]  # fmt: skip

    def test_wide(self) -> None:
        assert answers("""
            task a proc
            wide w W 8 u+0
            wide w W 8 u+0
            open one a 1 W 8 u+0
            open two a 1 W 8 u+0
            open three a 1 W 8 u+0
            wide v W 8 u+0
            free - 0
            close w
            free - 0
            free a -1
        """) == [
            "OK", "OK", "BUSY", "OK", "OK", "OK", "ENOSPC", "3 ENOSPC", "OK", "4 ENOSPC",
            "1 ENOSPC",
        ]  # fmt: skip

    def test_a_wide_one_is_modified_cpu_by_cpu(self) -> None:
        assert answers("""
            wide w W 8 u+0
            open full - 1 X 8 u+0
            modify w X 8 u+0
            free - 0 X
            free - 0
            free - 1
        """, "config cpus=3 arch=none inst=1 data=1\n") == [
            "OK", "OK", "ENOSPC", "0 ENOSPC", "1 ENOSPC", "0 ENOSPC",
        ]  # fmt: skip

    def test_free(self) -> None:
        header = "config cpus=1 arch=none inst=0 data=99\n"
        assert answers("""
            task a proc
            free a 0
            free a 0 X
            free a 0 EMPTY
            free a 0 INVALID
            free a 1
            free - -1
            exit a zombie
            free a 0
            open e a 0 W 8 0
        """, header) == [
            "OK", "64 LIMIT", "0 EOPNOTSUPP", "0 EOPNOTSUPP", "0 EINVAL", "0 EINVAL", "0 EINVAL",
            "OK", "0 ESRCH", "ESRCH",
        ]  # fmt: skip

    def test_exited_tasks_hold_on(self) -> None:
        assert answers("""
            task a proc
            open e a -1 W 8 u+0
            exit a reap
            task a proc
            free a -1
            free - 0
            modify e RW 8 u+0
            close e
            free - 0
        """) == [
            "OK", "OK", "OK", "OK", "4 ENOSPC", "3 ENOSPC", "OK", "OK", "4 ENOSPC",
        ]  # fmt: skip


class TestConfig:
    @pytest.mark.parametrize(
        ("header", "answer"),
        [
            ("", ["4 ENOSPC", "4 ENOSPC"]),
            ("config arch=arm64", ["4 ENOSPC", "6 ENOSPC"]),
            ("config arch=none shared=1", ["1 ENOSPC", "1 ENOSPC"]),
            ("config inst=2 data=3 arch=x86", ["3 ENOSPC", "2 ENOSPC"]),
            ("config shared=0", ["0 EOPNOTSUPP", "0 EOPNOTSUPP"]),
        ],
    )
    def test_machines(self, header: str, answer: list[str]) -> None:
        assert answers("free - 0 W\nfree - 0 X", header + "\n") == answer

    @pytest.mark.parametrize(
        ("bpext", "arch", "answer"),
        [(0, "x86", "EOPNOTSUPP"), (1, "x86", "OK"), (0, "none", "OK"), (1, "none", "OK")],
    )
    def test_ranges(self, bpext: int, arch: str, answer: str) -> None:
        header = f"config bpext={bpext} arch={arch}\n"
        assert answers("open e - 0 W 64 u+0", header) == [answer]


class TestBadLines:
    @pytest.mark.parametrize(
        ("line", "what"),
        [
            ("opne e - 0 W 8 u+0", "opne: not one of version, config, task, exit, open, wide"),
            ("version 2", "version: this reads version 1, not 2"),
            ("version", "version: this reads version 1, not none"),
            ("config cpus", "config: '' is no number"),
            ("config cpus=0", "config: 0 is not from 1 to 8192"),
            ("config cpus=8193", "config: 8193 is not from 1 to 8192"),
            ("config cpus=2 cpus=2", "config: 'cpus' is there twice"),
            ("config speed=2", "config: 'speed' is not one of cpus, arch"),
            ("config arch=sparc", "config: 'sparc' is not one of x86, arm64, none"),
            ("config bpext=2", "config: '2' is not one of 0, 1"),
            ("config shared=4 inst=2", "config: takes either shared, or both inst and data"),
            ("config inst=2", "config: takes either shared, or both inst and data"),
            ("task a", "task: takes NAME proc|thread, not a"),
            ("task a boss", "task: 'boss' is not one of proc, thread"),
            ("task - proc", "task: '-' means no task"),
            ("task a proc proc", "task: takes NAME proc|thread, not a proc proc"),
            ("exit a gone", "exit: 'gone' is not one of reap, zombie"),
            ("open", "open: takes EV TASK CPU TYPE LEN ADDR [flags], not nothing"),
            ("open e - 0 W 8", "open: takes EV TASK CPU TYPE LEN ADDR [flags], not e - 0 W 8"),
            ("open e - one W 8 u+0", "open: 'one' is no CPU"),
            ("open e - 0 Q 8 u+0", "open: 'Q' is no type: EMPTY, R, W"),
            ("open e - 0 4294967296 8 u+0", "open: 4294967296 is not from 0 to 4294967295"),
            ("open e - 0 W -8 u+0", "open: '-8' is no number"),
            ("open e - 0 W 0x u+0", "open: '0x' is no number"),
            ("open e - 0 W 8 u", "open: 'u' is no number"),
            ("open e - 0 W 8 +0", "open: '+0' is no address: u+N, k+N, c+N or a number"),
            ("open e - 0 W 8 z+0", "open: 'z+0' is no address"),
            ("open e - 0 W 8 0x10000000000000000", "open: 0x10000000000000000 is not from 0 to"),
            ("open e - 0 W 8 k+0xffffffffffffffff", "open: 0xffffffffffffffff is not from 0 to"),
            ("open e - 0 W 8 " + "9" * 5000, "is no number"),
            ("open e - 0 W 8 u+0 dis", "open: '' is not one of 0, 1"),
            ("open e - 0 W 8 u+0 ek=2", "open: '2' is not one of 0, 1"),
            ("open e - 0 W 8 u+0 of=1", "open: 'of' is not one of ek, dis, br, per"),
            (
                "open e - 0 W 8 u+0 per=0x8000000000000000",
                "open: 0x8000000000000000 is not from 0 to",
            ),
            ("wide e - 0 W 8 u+0", "wide: '-' is no type"),
            ("modify e W 8", "modify: takes EV TYPE LEN ADDR [flags], not e W 8"),
            ("close e f", "close: takes EV, not e f"),
            ("free -", "free: takes TASK CPU [TYPE], not -"),
            ("free - 0 W W", "free: takes TASK CPU [TYPE], not - 0 W W"),
        ],
    )
    def test_what_is_said(self, line: str, what: str) -> None:
        [said] = faults(f"# first\n{line}\n")
        assert said.startswith("f:2: ")
        assert what in said

    def test_a_header_is_a_header(self) -> None:
        text = "config cpus=1\nconfig cpus=1\ntask a proc\nversion 1\nconfig cpus=1\n"
        assert faults(text) == [
            "f:2: config: there is one already",
            "f:4: version: must stand before the first operation",
            "f:5: config: must stand before the first operation",
        ]

    def test_what_the_state_of_a_task_does_not_allow(self) -> None:
        assert faults("task a proc\ntask a proc") == ["f:2: task a is alive already"]
        assert faults("task a thread\nexit a zombie") == [
            "f:2: a is a thread, and only a proc can become a zombie"
        ]


class TestCommand:
    def test_a_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        script = tmp_path / "script"
        script.write_text("task a proc\nfree a -1\n")
        assert rvfs(str(script)) == 0
        assert capsys.readouterr() == ("1 OK\n2 4 ENOSPC\n", "")

    def test_stdin(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"task \xff proc\r\nclose e")))
        assert rvfs() == 0
        assert capsys.readouterr() == ("1 OK\n2 NOEV\n", "")

    def test_why(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        script = tmp_path / "script"
        script.write_text(
            "task a proc\nopen e a -1 W 8 u+0\nopen e a -1 W 8 u+0\nfree - 0\nclose f\n"
            "exit b reap\nopen f a -1 W 8 u+4\n"
        )
        assert rvfs(str(script), "--why") == 0
        said = capsys.readouterr().err
        assert said == (
            "3 event e is open already\n"
            "4 after 3 more: no room for CPU 0: CPU 0 has 4 shared registers, 3 pinned to the CPU, "
            "1 held by task a, the most of any task, 1 asked for\n"
            "5 no event f is open\n"
            "6 no task b is alive\n"
            "7 W 8 0x7f0000000004 cannot be watched on x86: "
            "the address is not aligned to the length\n"
        )

    def test_nothing_of_a_bad_script_is_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        script = tmp_path / "script"
        script.write_text("task a proc\nclose\nclose e\nfree\n")
        assert rvfs(str(script)) == 2
        assert capsys.readouterr() == (
            "",
            f"{script}:2: close: takes EV, not nothing\n"
            f"{script}:4: free: takes TASK CPU [TYPE], not nothing\n",
        )

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="none: No such file"):
            rvfs(str(tmp_path / "none"))

    def test_needs_none_of_the_heavy_packages(self) -> None:
        script = (
            "import sys, rvfs.cli.hwbp, rvfs.hwbp.script\n"
            "print({'numpy', 'lark', 'trio', 'pyfuse3', 'pydot', 'rich'} & sys.modules.keys())"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        assert done.stdout == b"set()\n"


class TestManual:
    FILE = Path(__file__).parents[2] / "docs" / "hwbp.md"
    TEXT = FILE.read_text()

    @pytest.mark.parametrize("verb", VERBS)
    def test_has_every_operation(self, verb: str) -> None:
        usage = VERBS[verb][0].replace("|", "\\|")
        assert f"| `{verb} {usage}` |" in self.TEXT

    def test_shows_what_the_session_answers(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        session = self.TEXT.split("```text\n")[1].split("```")[0]
        (tmp_path / "session").write_text(session)
        assert rvfs("--why", str(tmp_path / "session")) == 0
        shown = self.TEXT.split("```console\n$ rvfs hwbp run --why session\n")[1].split("```")[0]
        assert "".join(capsys.readouterr()) == shown

    def test_python(self) -> None:
        failed, tried = doctest.testfile(str(self.FILE), module_relative=False)
        assert (failed, tried) == (0, 6)
