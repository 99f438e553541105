"""The one extension module and its C sources."""

import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))

from build_tools.incremental import BuildExt

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

# More takes longer to compile, and no call gets faster.
FLAGS_OF_TRANSLATED = ["-O2", "-fno-tree-vectorize"]


class Build(BuildExt):
    """On Windows the core needs Clang's driver for MSVC: cl has neither target regions nor vector types."""

    flags_of_translated = FLAGS_OF_TRANSLATED

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            self.compiler.initialize()
            self.compiler.cc = "clang-cl"
            self.flags_of_translated = [f"/clang:{flag}" for flag in FLAGS_OF_TRANSLATED]
            for extension in self.extensions:
                extension.extra_compile_args = [f"/clang:{flag}" for flag in FLAGS if "visibility" not in flag]
        super().build_extensions()


# The slowest first: what Cython makes of the module, then the kernels, each of them seconds; all others are short.
core = Extension(
    "schuss._core",
    sources=[
        "src/schuss/core/_core.pyx",
        *sorted(glob("csrc/isa/*.c")),
        *sorted(glob("csrc/*.c") + glob("csrc/[!i]*/*.c")),
    ],
    include_dirs=["csrc"],
    depends=sorted([*glob("csrc/**/*.h", recursive=True), *glob("src/schuss/core/*.pxi")]),
    extra_compile_args=FLAGS,
    extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
    libraries=[] if sys.platform == "win32" else ["m"],
)

setup(ext_modules=[core], cmdclass={"build_ext": Build})
