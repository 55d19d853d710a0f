"""Builds the compiled stepper. Everything else about the package is in pyproject.toml.

``_step.py`` is plain Python and its own interpreted twin (``RVFS_PURE=1``); ``_step.pxd``
beside it gives the types. Without a C compiler the build fails, as pyfuse3's does.
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

STEPPER = Extension("rvfs._stepper._step", ["src/rvfs/_stepper/_step.py"])

setup(ext_modules=cythonize([STEPPER], build_dir="build/cython", language_level=3))
