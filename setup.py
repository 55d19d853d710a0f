"""Builds what is compiled. Everything else about the package is in pyproject.toml.

Each of these is plain Python and its own interpreted twin (``RVFS_PURE=1``); the ``.pxd``
beside it gives the types. Without a C compiler the build fails, as pyfuse3's does.
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = (
    "_stepper/_select", "_stepper/_step", "_stepper/_timed", "_stepper/_rule", "_decoder/_pages",
    "_decoder/_lines",
)  # fmt: skip
#: Sums of 64 bits wrap around, as the interpreted twin has them do.
FLAGS = ["-O3", "-fwrapv"]

EXTENSIONS = [
    Extension(f"rvfs.{name.replace('/', '.')}", [f"src/rvfs/{name}.py"], extra_compile_args=FLAGS)
    for name in COMPILED
]

setup(ext_modules=cythonize(EXTENSIONS, build_dir="build/cython", language_level=3))
