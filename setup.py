"""Builds what is compiled. Everything else about the package is in pyproject.toml.

Each of these is plain Python and its own interpreted twin (``RVFS_PURE=1``); the ``.pxd``
beside it gives the types. Without a C compiler the build fails, as pyfuse3's does.
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = ("_stepper/_step", "_decoder/_pages")

setup(
    ext_modules=cythonize(
        [
            Extension(f"rvfs.{name.replace('/', '.')}", [f"src/rvfs/{name}.py"])
            for name in COMPILED
        ],
        build_dir="build/cython",
        language_level=3,
    )
)
