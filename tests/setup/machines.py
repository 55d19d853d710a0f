"""Machines to try ``tools/setup`` on: a folder of fake commands is all of their PATH.

A fake package manager notes how it was called and brings the commands that its packages
stand for; a fake Python answers what the set-up asks of one.
"""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TOOLS = ("awk", "cat", "chmod", "cksum", "dirname", "env", "ln", "mkdir", "paste", "rm", "sed",
         "sh", "tee", "touch", "tr")  # fmt: skip
SOURCES = (
    "tools/setup", "pyproject.toml", "setup.py",
    "src/rvfs/_stepper/_step.py", "src/rvfs/_stepper/_step.pxd", "src/rvfs/_decoder/_pages.py",
    "src/rvfs/_loop.py", "src/rvfs/_libfuse.c", "src/rvfs/source/_mapping.c",
)  # fmt: skip

#: package → what it brings: commands, or files of the machine.
PACKAGES = {
    "gcc": ["bin/gcc"],
    "libc6-dev": [],
    "pkg-config": ["bin/pkg-config"],
    "pkgconf": ["bin/pkg-config"],
    "pkgconf-pkg-config": ["bin/pkg-config"],
    "libfuse3-dev": ["fuse3.pc"],
    "fuse3-devel": ["fuse3.pc"],
    "fuse3": ["bin/fusermount3"],
    "python3-venv": ["ensurepip"],
    "python3-dev": ["include/Python.h"],
    "python3-devel": ["include/Python.h"],
    "busybox": ["bin/busybox"],
    "rust-coreutils": ["bin/coreutils"],
    "trace-cmd": ["bin/trace-cmd"],
    "attr": ["bin/getfattr"],
}
#: Where one package is headers and commands at once.
ARCH = PACKAGES | {"fuse3": ["bin/fusermount3", "fuse3.pc"]}

PYTHON = """
say() { echo "python $*" >> "$MACHINE/calls"; }
case "$*" in
    *version_info*) [ "$0" = .venv/bin/python ] || [ ! -e "$MACHINE/old-${0##*/}" ] ;;
    *ensurepip*) [ -e "$MACHINE/ensurepip" ] ;;
    *sysconfig*) echo "$MACHINE/include" ;;
    "-c import pip") [ -e "$MACHINE/repository/.venv/works" ] ;;
    -V) echo "Python 3.12.1" ;;
    "-m venv "*)
        say "$@"
        rm -rf .venv; mkdir -p .venv/bin; touch .venv/works
        ln -s "$MACHINE/bin/python3" .venv/bin/python ;;
    "-m pip "*) say "$@"; echo '#!/bin/sh' > .venv/bin/rvfs; chmod +x .venv/bin/rvfs ;;
    *) echo "the fake Python was asked: $*" >&2; exit 9 ;;
esac
"""
#: Installs what its arguments name; knows nothing before `update` where lists are missing.
MANAGER = """
echo "${0##*/} $*" >> "$MACHINE/calls"
echo "${0##*/} talks on stdout"
case "$*" in update | -Syu*) rm -f "$MACHINE/no-lists"; exit 0 ;; esac
[ ! -e "$MACHINE/no-lists" ] || exit 100
for word; do
    [ ! -e "$MACHINE/packages/$word" ] || while read -r thing; do
        mkdir -p "$MACHINE/${thing%/*}" 2>/dev/null
        echo '#!/bin/sh' > "$MACHINE/$thing"; chmod +x "$MACHINE/$thing"
    done < "$MACHINE/packages/$word"
done
"""
PKG_CONFIG = '[ -e "$MACHINE/fuse3.pc" ]'


@dataclass
class Machine:
    """``calls`` is what was asked of package managers, sudo, pip and venv, in order."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def installs(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("python ")]

    def command(self, name: str, script: str = "") -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def has(self, *packages: str) -> None:
        """What these packages bring is there already."""
        for package in packages:
            for thing in PACKAGES[package]:
                path = self.folder / thing
                path.parent.mkdir(exist_ok=True)
                path.write_text("#!/bin/sh\n")
                path.chmod(0o755)

    def manager(self, name: str, packages: dict[str, list[str]] = PACKAGES) -> None:
        self.command(name, MANAGER)
        for package, things in packages.items():
            text = "".join(f"{thing}\n" for thing in things)
            (self.folder / "packages" / package).write_text(text)

    def user(self, sudo: str | None) -> None:
        """Not root; ``sudo`` is the script of its sudo, None where there is none."""
        self.command("id", "echo 1000")
        if sudo is not None:
            self.command("sudo", f'echo "sudo $*" >> "$MACHINE/calls"\n{sudo}')

    def set_up(self, goal: str) -> tuple[int, str]:
        """Run it; the exit status, and what it said."""
        ran = subprocess.run(
            [self.folder / "repository" / "tools" / "setup", goal],
            env={
                "PATH": str(self.folder / "bin"), "MACHINE": str(self.folder), **self.environment
            },
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.stdout == ""
        return ran.returncode, ran.stderr


def bare_machine(folder: Path) -> Machine:
    """python3 and make, root, and no package manager yet."""
    for name in ("bin", "packages", "include"):
        (folder / name).mkdir()
    for tool in TOOLS:
        found = shutil.which(tool, path="/usr/bin:/bin")
        assert found is not None, tool
        (folder / "bin" / tool).symlink_to(found)
    for source in SOURCES:
        target = folder / "repository" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / source, target)
    machine = Machine(folder)
    machine.command("id", "echo 0")
    machine.command("python3", PYTHON)
    return machine
