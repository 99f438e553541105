# cython: language_level=3, initializedcheck=False, cdivision=True
"""The compiled core: validates, finds pointers, releases the GIL, calls C. No loop over data. Contract: _core.pyi.

One extension of several files, each with one subject. They are included in this order, and use only what stands before
them.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.dict cimport PyDict_Next, PyDict_Size
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.object cimport Py_TYPE, PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memmove, memset

import os
import sys
import weakref

import numpy as np

from schuss._version import __version__

include "interface.pxi"   # csrc/schuss.h, as declarations
include "machine.pxi"     # instruction sets, threads, the GIL
include "arrays.pxi"      # NumPy's arrays: dtype, shape, address
include "dtypes.pxi"      # formats of arrays
include "memory.pxi"      # aligned memory of our own, and arrays in arenas
include "whole.pxi"       # what no signal handler comes in between of
include "names.pxi"       # names of what the core knows
include "random.pxi"      # random numbers, initial weights
include "scalars.pxi"     # scalar arguments
include "settings.pxi"    # numbers of a group of parameters, checked
include "kept.pxi"        # what of an optimizer is kept in which format
include "guests.pxi"      # memory of other libraries' arrays
include "rows.pxi"        # gradients of some rows
include "parameters.pxi"  # arrays that are updated in place, and gradients for them
include "stepper.pxi"     # the optimizer step
include "tensors.pxi"     # the same over tensors of torch
include "lbfgs.pxi"       # L-BFGS
include "targets.pxi"     # losses, labels, targets, weights
include "plan.pxi"        # buffers of a network's passes
include "compressed.pxi"  # rows of which only some columns are there
include "hashing.pxi"     # codes of raw categories
include "net.pxi"         # nodes, their arrays, inputs
include "binding.pxi"     # which arrays of a network an optimizer updates
include "passes.pxi"      # forward, backward, loss, one training step
include "one_time.pxi"    # one time of sequences that go on
include "permuted.pxi"    # predictions with columns of other rows
include "augment.pxi"     # images that change as batches are gathered
include "trainer.pxi"     # whole epochs
include "ending.pxi"      # the end of a training, whatever ends it
include "recommend.pxi"   # ranking by pairs
include "factors.pxi"   # ratings by factors of users and items
include "ranking.pxi"   # items ranked for users
include "kernels.pxi"     # single kernels, for tests and benchmarks
