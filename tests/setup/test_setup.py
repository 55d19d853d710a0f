"""``tools/setup``: what it installs, what it says, and when it does nothing."""

from pathlib import Path

import pytest

from tests.setup.machines import ARCH, PACKAGES, PKG_CONFIG, Machine, bare_machine

ALL = tuple(PACKAGES)
NEEDS_FUSE = pytest.mark.needs("fuse")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return bare_machine(tmp_path)


@pytest.fixture
def complete(machine: Machine) -> Machine:
    """A machine that lacks nothing, and that nobody may install on."""
    machine.has(*ALL)
    machine.command("pkg-config", PKG_CONFIG)
    return machine


APT = "apt-get install -y --no-install-recommends"
DNF = "dnf install -y --setopt=install_weak_deps=False"
PACMAN = "pacman -S --needed --noconfirm"

FOR_RUN = {
    "apt-get": f"{APT} gcc libc6-dev pkg-config libfuse3-dev fuse3 python3-venv python3-dev",
    "dnf": f"{DNF} gcc pkgconf-pkg-config fuse3-devel fuse3 python3-devel",
    "pacman": f"{PACMAN} gcc pkgconf fuse3",
}
FOR_TESTS = {
    "apt-get": f"{APT} busybox rust-coreutils trace-cmd attr",
    "dnf": f"{DNF} busybox trace-cmd attr",
    "pacman": f"{PACMAN} busybox trace-cmd attr",
}


def distribution(machine: Machine, manager: str) -> None:
    """Its Python comes with what its packages do not bring."""
    machine.manager(manager, ARCH if manager == "pacman" else PACKAGES)
    if manager != "apt-get":
        machine.has("python3-venv")
    if manager == "pacman":
        machine.has("python3-dev")


@pytest.mark.parametrize("manager", FOR_RUN)
@NEEDS_FUSE
def test_a_bare_machine_gets_what_running_takes(machine: Machine, manager: str) -> None:
    distribution(machine, manager)
    status, said = machine.set_up("run")
    assert machine.installs == [FOR_RUN[manager]]
    assert "missing: compiler, pkg config, fuse headers, fusermount3" in said
    assert f"installing with {manager}: gcc" in said
    assert status == 0
    assert machine.calls[1:] == [
        "python -m venv --clear .venv",
        "python -m pip install --quiet --disable-pip-version-check --editable .",
    ]


@pytest.mark.parametrize("manager", FOR_TESTS)
def test_tests_take_more(machine: Machine, manager: str) -> None:
    distribution(machine, manager)
    status, _ = machine.set_up("test")
    assert machine.installs == [FOR_RUN[manager], FOR_TESTS[manager]]
    assert status == 0
    assert machine.calls[-1].endswith("--editable . --group test --group dev")


@NEEDS_FUSE
def test_where_all_is_there_nobody_is_asked(complete: Machine) -> None:
    complete.manager("apt-get")
    complete.user(sudo="exit 0")
    assert complete.set_up("test")[0] == 0
    assert complete.installs == []


@NEEDS_FUSE
def test_only_what_is_missing_is_installed(complete: Machine) -> None:
    (complete.folder / "fuse3.pc").unlink()
    complete.manager("apt-get")
    assert complete.set_up("run")[0] == 0
    assert complete.installs == [f"{APT} libfuse3-dev"]


@NEEDS_FUSE
def test_the_second_time_does_nothing(complete: Machine) -> None:
    complete.set_up("test")
    first = complete.calls
    for goal in ("run", "test"):
        assert complete.set_up(goal) == (0, "")
    assert complete.calls == first


@NEEDS_FUSE
def test_a_set_up_for_running_is_not_one_for_tests(complete: Machine) -> None:
    complete.set_up("run")
    complete.set_up("test")
    assert complete.calls[-1].endswith("--group test --group dev")


@NEEDS_FUSE
@pytest.mark.parametrize(
    "source",
    [
        "pyproject.toml",
        "src/rvfs/_stepper/_step.py",
        "src/rvfs/_libfuse.c",
        "src/rvfs/source/_mapping.c",
    ],
)
def test_changed_sources_are_installed_into_the_same_venv(complete: Machine, source: str) -> None:
    complete.set_up("run")
    first = complete.calls
    with (complete.folder / "repository" / source).open("a") as file:
        file.write("# changed\n")
    assert complete.set_up("run")[0] == 0
    assert complete.calls == [*first, first[-1]]


@NEEDS_FUSE
def test_a_venv_that_broke_is_made_anew(complete: Machine) -> None:
    complete.set_up("run")
    first = complete.calls
    (complete.folder / "repository/.venv/works").unlink()
    (complete.folder / "repository/.venv/bin/rvfs").unlink()
    assert complete.set_up("run")[0] == 0
    assert complete.calls == first * 2


@NEEDS_FUSE
def test_without_package_lists_they_are_fetched_once(machine: Machine) -> None:
    distribution(machine, "apt-get")
    (machine.folder / "no-lists").touch()
    assert machine.set_up("run")[0] == 0
    assert machine.installs == [FOR_RUN["apt-get"], "apt-get update", FOR_RUN["apt-get"]]


@pytest.mark.parametrize("manager", FOR_RUN)
def test_without_rights_the_line_to_run_is_printed(machine: Machine, manager: str) -> None:
    distribution(machine, manager)
    machine.user(sudo=None)
    status, said = machine.set_up("run")
    assert said.splitlines()[-1] == f"rvfs: that did not work; as root, run: {FOR_RUN[manager]}"
    assert status == 1
    assert machine.calls == []


def test_a_sudo_that_refuses_is_no_right(machine: Machine) -> None:
    distribution(machine, "apt-get")
    machine.user(sudo="exit 1")
    status, said = machine.set_up("run")
    assert said.splitlines()[-1].endswith(f"as root, run: {FOR_RUN['apt-get']}")
    assert status == 1
    assert all(call.startswith("sudo -n ") for call in machine.calls)


@NEEDS_FUSE
def test_who_is_not_root_uses_sudo(machine: Machine) -> None:
    distribution(machine, "dnf")
    machine.user(sudo='shift; "$@"')
    assert machine.set_up("run")[0] == 0
    assert machine.installs == [f"sudo -n {FOR_RUN['dnf']}", FOR_RUN["dnf"]]


def test_without_a_package_manager_the_missing_things_are_named(machine: Machine) -> None:
    status, said = machine.set_up("run")
    assert said.splitlines() == [
        "rvfs: missing: compiler, pkg config, fuse headers, fusermount3, venv module, "
        "python headers",
        "rvfs: no package is known for that here; please install it",
    ]
    assert status == 1


def test_a_package_that_does_not_help_is_no_success(machine: Machine) -> None:
    machine.manager("apt-get", PACKAGES | {"libfuse3-dev": []})
    machine.has("pkg-config")
    machine.command("pkg-config", PKG_CONFIG)
    status, said = machine.set_up("run")
    assert said.splitlines()[-1] == "rvfs: still missing for python3: fuse headers"
    assert status == 1


def test_tools_of_the_tests_may_stay_missing(complete: Machine) -> None:
    (complete.folder / "bin/busybox").unlink()
    complete.manager("apt-get")
    complete.user(sudo=None)
    status, said = complete.set_up("test")
    assert f"as root, run: {APT} busybox\n" in said
    assert "rvfs: the tests that need it will be skipped\n" in said
    assert status == 0


# -- which Python ----------------------------------------------------------------------------


def test_an_old_python_is_refused_in_one_line(machine: Machine) -> None:
    (machine.folder / "old-python3").touch()
    assert machine.set_up("run") == (
        1, "rvfs: found no Python of 3.11 or newer; name one with PYTHON=/path/to/python3\n"
    )  # fmt: skip


def test_the_python_that_was_named_is_the_one(machine: Machine) -> None:
    machine.environment["PYTHON"] = "/no/such/python"
    assert machine.set_up("run") == (
        1, "rvfs: PYTHON=/no/such/python is not a Python of 3.11 or newer\n"
    )  # fmt: skip


def test_packages_are_those_of_the_python_that_was_found(machine: Machine) -> None:
    machine.command("python3.12", (machine.folder / "bin/python3").read_text())
    (machine.folder / "old-python3").touch()
    machine.manager("apt-get")
    machine.set_up("run")
    assert machine.installs[0].endswith(" fuse3 python3.12-venv python3.12-dev")


def test_there_are_two_things_to_set_up(machine: Machine) -> None:
    assert machine.set_up("walk") == (1, "rvfs: usage: tools/setup run|test\n")
