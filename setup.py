"""Builds what is compiled. Everything else about the package is in pyproject.toml.

Each of these is plain Python and its own interpreted twin (``RVFS_PURE=1``); the ``.pxd``
beside it gives the types. Without a C compiler the build fails, as pyfuse3's does.
``_libfuse.c`` needs the headers that pyfuse3 is built with, and may be missing: the mount then
costs more requests.
"""

import subprocess

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = (
    "_stepper/_select", "_stepper/_step", "_stepper/_timed", "_stepper/_rule", "_decoder/_pages",
    "_decoder/_fields", "_decoder/_lines", "_decoder/_texts", "_loop",
)  # fmt: skip
#: Sums of 64 bits wrap around, as the interpreted twin has them do.
FLAGS = ["-O3", "-fwrapv"]
#: Loops of few instructions, which are much of what an event costs.
TIGHT = {"_stepper/_step": ["-funroll-loops"]}

EXTENSIONS = [
    Extension(
        f"rvfs.{name.replace('/', '.')}",
        [f"src/rvfs/{name}.py"],
        extra_compile_args=FLAGS + TIGHT.get(name, []),
        depends=["src/rvfs/_stepper/_wide.h"],
    )
    for name in COMPILED
]


def fuse3(what: str) -> list[str]:
    """Flags of the compiler or the linker; none where pkg-config does not know."""
    try:
        command = ["pkg-config", what, "fuse3"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


LIBFUSE = Extension(
    "rvfs._libfuse",
    ["src/rvfs/_libfuse.c"],
    extra_compile_args=fuse3("--cflags"),
    extra_link_args=["-Wl,--no-as-needed", *fuse3("--libs")],
    optional=True,
)

MAPPING = Extension("rvfs.source._mapping", ["src/rvfs/source/_mapping.c"])

compiled = cythonize(EXTENSIONS, build_dir="build/cython", language_level=3)
setup(ext_modules=[*compiled, MAPPING, LIBFUSE])
