"""The one extension module and its C sources."""

import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Nothing here may widen the instruction set or relax IEEE arithmetic: see csrc/README.md.
FLAGS = [
    "-std=gnu11",
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fvisibility=hidden",
]


class BuildExt(build_ext):
    """On Windows the core needs Clang's driver for MSVC: cl has neither target regions nor vector types."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            self.compiler.initialize()
            self.compiler.cc = "clang-cl"
            for extension in self.extensions:
                extension.extra_compile_args = [f"/clang:{flag}" for flag in FLAGS if "visibility" not in flag]
        super().build_extensions()


core = Extension(
    "schuss._core",
    sources=["src/schuss/core/_core.pyx", *sorted(glob("csrc/*.c") + glob("csrc/*/*.c"))],
    include_dirs=["csrc"],
    depends=sorted(glob("src/schuss/core/*.pxi") + glob("csrc/*.h") + glob("csrc/*/*.h") + glob("csrc/*/*/*.h")),
    extra_compile_args=FLAGS,
    extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
    libraries=[] if sys.platform == "win32" else ["m"],
)

setup(ext_modules=cythonize([core]), cmdclass={"build_ext": BuildExt})
