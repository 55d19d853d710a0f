"""rvfs check as a user has it: in a shell, or (quicker) as the shell would start it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

Told = tuple[int, str, str]
Run = Callable[[str], Told]


def in_shell(command: str, folder: Path) -> Told:
    """``rvfs check`` in a shell in this folder: status, stdout, stderr."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PY": sys.executable}
    told = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$PY" -m rvfs check {command}'],
        cwd=folder, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    return told.returncode, told.stdout, told.stderr
