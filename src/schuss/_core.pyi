"""The compiled core: validates, finds pointers, releases the GIL, calls C. Its sources are in core/."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__version__: Final[str]

_T = TypeVar("_T")
# Name; number, or one for each output; "sklearn": in its form. An object that has one as its `spec` will do, too.
LossSpec: TypeAlias = tuple[str, float | tuple[float, ...]] | tuple[str, float | tuple[float, ...], str]

# Instruction sets and threads.
def isa_levels() -> list[str]:
    """Levels this CPU can run, lowest first."""

def use_isa(name: str | None) -> str:
    """Choose a level by name (None: SCHUSS_ISA, else the best); returns the level now in use."""

def config() -> dict[str, Any]:
    """isa, isa_available, vector_bits, threads, cpu_quota, workers, compiler."""

def get_num_threads() -> int: ...
def set_num_threads(n: int | None) -> None: ...
def set_thread_limit(n: int) -> int:
    """For the calling thread only; 0 lifts it; returns the previous limit."""

class ThreadLimit:
    """A context in which calls from this thread use so many threads. One may be in use several times at once."""

    def __init__(self, n: int) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...

def worker_count() -> int: ...

# What happens as a whole: no signal handler runs in between, so no KeyboardInterrupt leaves half of it.
# A compiled function and its arguments each.
Calls: TypeAlias = list[tuple[Any, ...]]

def in_turn(calls: Iterable[tuple[Any, ...]]) -> None:
    """Make these calls, none of which is to fail or to run anything that is written in Python."""

def copy_all(targets: list[NDArray[Any]], sources: list[NDArray[Any]]) -> None:
    """Into each target, which is C-contiguous, what the source of its shape and dtype has. ValueError if one is not so;
    nothing has changed then."""

class Exchanged:
    """A context in which arrays hold other values, as by copy_all, and after which they hold what they held before."""

    def __init__(self, arrays: list[NDArray[Any]], values: list[NDArray[Any]]) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *exception: object) -> None: ...

# Random numbers.
def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def permutation(n: int, seed: int, epoch: int) -> NDArray[np.int64]: ...
def initialise(out: NDArray[Any], kind: str, scale: float, seed: int, stream: int) -> None:
    """Fill out (2-D, float32 or float64, C-contiguous); kind: zeros, uniform, normal, orthogonal."""

ACTIVATIONS: Final[tuple[str, ...]]  # names, by the C enum's numbers
LOSSES: Final[tuple[str, ...]]

class Names(Protocol):
    """What messages call the i-th parameter and its gradient."""

    def parameter(self, i: int) -> str: ...
    def gradient(self, i: int) -> str: ...

class Stepper:
    """Parameters, states and the compiled step of one optimizer."""

    def __init__(
        self,
        params: list[NDArray[Any]],
        group_of: Sequence[int],
        groups: list[dict[str, Any]],
        form: Names | None = None,
        precision: tuple[str, str | None, str, int, str | None] | None = None,
    ) -> None:
        """params: C-contiguous writable arrays, float64 or of float32, float16 and bfloat16 (its bits as uint16, too),
        none overlapping another (checked: ValueError/TypeError that names the index). group_of[i]: the group of
        params[i], one of groups, as for step. States are what the rules of the groups need, and hold what they begin
        with. form names arrays in messages. precision: states, master, rounding, seed, directory of
        `Optimizer.set_precision`, checked; what it adds follows the states of each parameter, under its own names."""
    params: list[NDArray[Any]]
    states: list[list[Any]]  # states[i][k]: of params[i] in slot k, writable; None where there is none. All rows are
    # brought up to date with the steps made so far when this is read
    state_names: list[list[str | None]]  # of the slots of each, as in states
    state_shapes: list[list[tuple[int, ...] | None]]  # and their shapes
    averages: list[list[NDArray[Any]]]  # averages[k][i]: number k of params[i]
    specs: list[tuple[str, int, int, float]]  # of each average what keep_average was given
    scratch: NDArray[np.uint8] | None  # room that rules on whole arrays work in; None: not made yet
    steps: int  # steps made; writable: then all params have made them
    # Params of a group that have made the same steps are of one clock; those of group i are of number i at first.
    clock_of: list[int]  # of each of the params, the number of its clock
    behind: list[int]  # of each clock, the steps that its params have not made
    together: bool  # whether all params have made all steps
    memories: NDArray[np.float64]  # (clocks, 2 + 2 n): step, n numbers after it, n before it, whether resting;
    # writable
    def set_clocks(self, clock_of: Sequence[int], behind: Sequence[int]) -> None:
        """What clock_of and behind will be. ValueError if clocks are of several groups, or without params. What they
        remember is for the caller to write into memories."""
    busy: bool  # whether a step or a fit is being made
    nonfinite: bool  # whether the last step saw a NaN or infinite gradient
    grad_norm: float  # global norm seen by the last step that clipped by norm
    resting: bool  # whether the params are not where steps are made from: then a step raises RuntimeError
    def move_params(self, slot: int, weights: Sequence[float], resting: bool) -> None:
        """p += weight (s - p) for all params, s the state in this slot and weight their group's, 0: untouched."""

    def step(
        self,
        grads: Any,
        groups: list[dict[str, Any]],
        lr: Any = None,
        grad_scale: Any = 1.0,
        clip_value: Any = None,
        clip_norm: Any = None,
        zero_grad: Any = False,
        on_nonfinite: Any = "flag",
    ) -> bool:
        """One update, as `Optimizer.step`; False if none was made because of a gradient that is not finite. Where a
        gradient is None, its param makes no step.

        groups[i] are plain dicts: "rule" (a name of the core's) and the rule's settings by name; what a rule does not
        know is not looked at. They may be changed between steps; those
        that hold the same objects as at the last step, all of immutable types, are not read again. "schedule": None, or
        a function of the step's number that gives "lr", which is written first, unless lr is given. Everything is
        checked before anything else changes."""
    def catch_up(self, param: int = 0, index: NDArray[np.int64] | None = None) -> None:
        """Rows of a parameter, strictly increasing, make the steps that they have missed; None: all of all
        parameters."""

    def codes(self) -> list[dict[str, str]]:
        """For each parameter, of its states that may have fewer bits, what they are where they are to have 8:
        "8bit_signed", "8bit_unsigned", or "bfloat16" of those that 8 are too few for."""
    def zeros_like_params(self) -> list[NDArray[Any]]:
        """Of the parameters' shapes, in the dtype that is computed with."""
    def param_arrays(self) -> list[NDArray[Any]]:
        """The parameters, then whatever else holds them: masters, lower halves."""
    def as_params(self, values: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """What param_arrays() hold where parameters are these values, of the dtype that is computed with."""
    def keep_average(self, k: int, kind: str, start: int, every: int, weight: float) -> None:
        """Average number k (0 or 1) of the parameters, which starts as they are now if it is new; from step `start` on,
        at every `every`-th step. "ema": the first time a = p, then a += weight (p - a). "mean" of those seen.
        "lookahead": a += weight (p - a), then p = a."""
    def begin_anew(self, values: list[NDArray[Any]] | None = None) -> None:
        """The params hold these values, or zeros, and no step has been made."""
    def copy_from(self, other: Stepper) -> None:
        """States, memories, steps and averages become those of another over the same params, with the same states. That
        one is of no use then: averages that this one has not kept are its own arrays."""
    def norm(self, grads: NDArray[Any] | Sequence[NDArray[Any]]) -> float:
        """The global norm of gradients, in double, in a fixed order."""

class TensorStepper(Stepper):
    """A stepper over the memory of torch tensors: each parameter is an array over a tensor, in the order in which its
    elements lie."""

    tensors: list[Any]
    stepped: list[Any]  # those that had a gradient in the last step
    counts: NDArray[np.float32]  # how many steps each has made, written by each step
    remembered: NDArray[np.float64]  # the first number that its rule remembers of each, where it does; written too
    def hold_tensors(
        self,
        tensors: list[Any],
        kind: type,
        as_array: Callable[[int, Any], Any],
    ) -> None:
        """Once, before any step. kind: torch.Tensor. as_array: of the place of a parameter and a gradient that does not
        lie as its parameter does, an array or SortedRows."""
    def follow(self, as_memory: Callable[[int], NDArray[Any]]) -> bool:
        """Whether nothing has changed but where some tensors lie: now they are updated there."""
    def write_state(self, i: int, name: str, values: NDArray[Any]) -> None:
        """State `name` of tensor i becomes these numbers of the dtype that is computed with, flat, rounded to how it is
        kept."""
    def read_codes(
        self, i: int, name: str, codes: NDArray[np.uint8], scales: NDArray[np.float32], out: NDArray[Any]
    ) -> None:
        """Into out, flat and of that dtype, what 8-bit codes and magnitudes of their blocks stand for as a state."""
    def note_counts(self) -> None:
        """Write counts and remembered as they are now."""

class TensorSteps:
    """Steps over all the tensors of a torch optimizer that are on the CPU."""

    steppers: list[TensorStepper]
    def __init__(
        self,
        groups: list[dict[str, Any]],
        steppers: list[TensorStepper],
        plain: list[dict[str, Any]],
        translate: Callable[[dict[str, Any], dict[str, Any]], None],
        names: Iterable[str],
        written: Callable[[list[Any]], None],
    ) -> None:
        """groups: torch's. plain: the same as steppers read them; translate(group, plain) brings one up to date, and
        looks at these names of the group alone. written(tensors): called after a step of them."""
    def note_state(self, state: Mapping[Any, Any]) -> None:
        """The optimizer's state from now on: of each tensor that has states, a dict of them."""
    def fresh(self) -> list[tuple[int, int]]:
        """The stepper and the place of each tensor that has a gradient, and no states so far."""
    def step(
        self,
        groups: list[dict[str, Any]],
        state: Any,
        grad_scale: float = 1.0,
        clip_norm: float | None = None,
        before: Callable[[], object] | None = None,
    ) -> int:
        """1: made. 0: a gradient is not finite. -1: groups, parameters or states are not as they were. -2: some tensors
        have a gradient, and no states. Nothing has changed but in the first case. before() is called once nothing can
        fail any more."""
    def step_at_once(self, own: dict[str, Any]) -> bool:
        """The same for an optimizer of these attributes; False where that did not make a step."""

# Settings of an update rule: hyperparameters under the names that users know them by.
RULES: Final[tuple[str, ...]]

def checked_settings(rule: str, given: dict[str, Any]) -> dict[str, Any]:
    """The same settings, checked: numbers as float or int, tuples as tuples. ValueError or TypeError if one is not
    known, or not in its range."""

# What a rule keeps. A group is a dict as for Stepper.step.
def states_of(
    group: dict[str, Any],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    precision: tuple[str, str | None, str, int, str | None] | None = None,
) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
    """Names and shapes of the states of an array of this shape."""

def sides_of(group: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[int, int]:
    """SOAP: the dimensions of such an array that have a basis, and their sizes; dimensions may have been merged."""

def setting_names(rule: str) -> tuple[str, ...]:
    """What a group of this rule is asked for; other entries are not looked at."""

def memory_names(rule: str) -> tuple[str, ...]:
    """Of the numbers that a clock remembers from step to step, as they lie in Stepper.memories after the step."""

def memory_is_of_params(rule: str) -> bool:
    """Whether torch's state_dict has them with each parameter, rather than in the group."""

def first_step_fills_states(rule: str) -> bool:
    """Whether states begin with the first step: torch tells it by their absence."""

def derived_numbers(group: dict[str, Any], steps: int) -> dict[str, float]:
    """Numbers that torch's state_dict has of each parameter although they follow from the group and the steps made."""

class SortedRows:
    """A gradient of some rows: their numbers, int64 and strictly increasing, of which it has a private copy, and their
    values (k, ...), C-contiguous."""

    def __new__(cls, index: NDArray[np.int64], values: NDArray[Any]) -> Self: ...
    @property
    def indices(self) -> NDArray[np.int64]:
        """A copy that cannot be written."""
    values: NDArray[Any]

class Lbfgs:
    """The vectors of one L-BFGS optimizer and the passes over them. Gradients are copied into vectors numbered from 0
    to 3; `before` is the one that the last direction was of, which must stay until the next direction."""

    def __init__(self, params: list[NDArray[Any]], history_size: int, form: Names | None = None) -> None:
        """params and form: as for Stepper."""
    before: int  # -1: none
    iterations: int  # calls of stay
    history_size: int
    moved: float  # t of the last move
    def within(self, call: Callable[[], _T]) -> _T:
        """call() while nobody else is in here (RuntimeError), and restore() whatever happens."""
    def gather(self, grads: Any, which: int) -> tuple[bool, float, float, float]:
        """Checks gradients (as Stepper.step) and copies them. Whether all are finite, g . d, sum of |g|, max |g|."""
    def direction(self, which: int) -> tuple[float, float]:
        """d = -H g for this gradient, after the pair of the last step has been learnt; g . d and max |d|."""
    def move(self, t: float) -> bool:
        """Parameters to t d from where they were; whether all are finite."""
    def stay(self, t: float) -> None:
        """Parameters are where they ought to be: t d from where they were."""
    def restore(self) -> None:
        """Parameters back to where they were when `stay` was last called."""
    state: tuple[
        list[NDArray[Any]], list[NDArray[Any]], list[float], float, NDArray[Any], NDArray[Any] | None, float
    ]  # steps, changes of the gradient, 1 / y . s, oldest first; H0; direction, the gradient it is of, t. Not copies
    def load(
        self,
        steps: Sequence[Any],
        changes: Sequence[Any],
        rho: Sequence[float],
        scale: float,
        direction: Any,
        before: Any,
        t: float,
        iterations: int,
    ) -> None:
        """Into a new one, what `state` gave."""

# Ranges, in one pass. NaN is in none.
def targets_in_range(loss: str, target: NDArray[Any]) -> bool:
    """Whether all lie where this loss is defined; target: (rows, n_out), float32 or float64, C-contiguous."""

def labels_in_range(labels: NDArray[np.int64], classes: int) -> bool: ...
def weights_in_range(weights: NDArray[np.float64]) -> bool:
    """Whether all are finite and >= 0."""

class NotFinite(FloatingPointError):
    """A loss or a gradient of a step is not finite."""

# An array, or one for each input of the network in order: numbers of its dtype or int64 codes, (rows, columns),
# C-contiguous.
Data: TypeAlias = "NDArray[Any] | Compressed | tuple[NDArray[Any] | Compressed, ...] | Sequences"
# kind, numbers of the nodes it reads, sizes and numbers by the core's names, and its end: activation, alpha, dropout,
# the node whose value is added (-1: none), and the stream of its random numbers.
Node: TypeAlias = tuple[str, Sequence[int], Mapping[str, int], Mapping[str, float], str, float, float, int, int]

def shapes(nodes: Sequence[Node]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Shapes of the parameters and of the states of a network of these nodes. Errors as of Net."""

def predict_permuted(
    net: Net, x: Data, columns: Sequence[Sequence[int]], orders: NDArray[np.int64], out: NDArray[Any]
) -> None:
    """out[r, i] becomes the network's output for row i of x with these columns, numbers for each input, from row
    orders[r, i]. Nothing as large as x is copied. out: (repeats, rows, n_out), C-contiguous."""

class Misfit(ValueError):
    """A node does not fit those before it: its number, and the size or number that is wrong."""

    node: int
    what: str

class Sequences:
    """Inputs of a pass, and what layers that go through times need beside them: int64 lengths (rows,), and the state
    (rows, Net.state) that rows begin with, overwritten with what they end with."""

    x: NDArray[Any] | Compressed | tuple[NDArray[Any] | Compressed, ...]
    lengths: NDArray[np.int64] | None
    state: NDArray[Any] | None
    ndim: int
    def __init__(
        self,
        x: NDArray[Any] | Compressed | tuple[NDArray[Any] | Compressed, ...],
        lengths: NDArray[np.int64] | None = None,
        state: NDArray[Any] | None = None,
    ) -> None: ...
    def copy(self) -> Sequences: ...

class CompressedFault(ValueError):
    """Compressed rows are not as they must be; whoever knows them says where."""

class Compressed:
    """Compressed rows (CSR) that nobody can change: private copies, checked. Rows are taken by slices and arrays."""

    entries: int
    columns: int  # one more than the highest
    dtype: np.dtype[Any]  # of the values
    shape: tuple[int, int]
    ndim: int
    def __new__(
        cls,
        start: NDArray[Any] | None = None,
        indices: NDArray[Any] | None = None,
        data: NDArray[Any] | None = None,
        columns: int | None = None,
        doubled: bool = False,
    ) -> Self:
        """start: integers (rows + 1,) that rise from 0 to the entries; indices: integers (entries,), in each row in
        order; data: float32 or float64 (entries,), finite. columns: of a row, None: any number. doubled: whether a
        column may come twice in a row. CompressedFault where they are not so."""
    def as_dtype(self, dtype: np.dtype[Any]) -> Self:
        """The same rows with values of this dtype; themselves if they have it. CompressedFault if one is not finite
        then."""
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """Copies of start, columns (int32, or int64 where they are larger) and values."""
    def first_beyond(self, columns: int) -> tuple[int, int] | None:
        """Row and column of the first entry that is in none of so many columns; None: there is none."""
    def counts(self) -> NDArray[np.int64]:
        """How many entries each row has."""
    def copy(self) -> Self: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any) -> Self: ...

def compressed_rows(kind: type[Compressed], start: Any, indices: Any, data: Any) -> Compressed:
    """Rows as they were pickled."""

def hashed(values: NDArray[Any], n: int, seed: int, columns: int, salted: bool) -> tuple[NDArray[np.int64], int]:
    """Codes in [0, n) of integers of 64 bits, text or objects, a row of so many columns after the other, and the number
    of the first value that has none; -1: all have one. salted: the seed is seed + column."""

class Net:
    """Nodes, arenas and plans of one network. One call at a time: RuntimeError if busy in another thread."""

    def __init__(
        self, nodes: Sequence[Node], dtype: Any, seed: int, bare: bool = False, like: Net | None = None
    ) -> None:
        """nodes: inputs first; the last one's value is the network's. The parameters start as zeros. bare: only shapes.
        like: another one with the same arrays, whose memory they are.
        Misfit where nodes do not fit together, OverflowError where arrays exceed the address space."""
    flat_parameters: NDArray[Any]  # the arena, 1-D, padding between arrays included (zeros): parameters, then states
    flat_gradients: NDArray[Any]
    flat_states: NDArray[Any]  # its part with the states
    parameters: list[NDArray[Any]]  # views, in the order of the nodes: W1 (n_in, n_out), b1 (n_out,), W2, ...
    gradients: list[NDArray[Any]]
    states: list[NDArray[Any]]  # what is kept beside parameters, such as running means
    names: list[tuple[int, str]]  # node and name of each parameter, and of each state
    state_names: list[tuple[int, str]]
    input_names: list[str]  # what messages call the inputs; writable
    named_losses: dict[str, LossSpec]  # losses that may be given by their names; writable
    n_in: int  # of a row of a network whose one input are numbers, else -1
    n_out: int
    positions: int  # of the network's value, with n_out columns each
    row_out: int  # elements of a row of it
    state: int  # elements of a row of carried state
    dtype: np.dtype[Any]
    members: int  # in training the loss gets so many rows of n_out for each row
    shaped: bool  # whether rows that come in or go out have positions, so that try_predict takes none; writable
    seed: int  # of dropout; writable
    draws: int  # training passes made; numbers the dropout masks; writable
    most_dropout: float  # the largest probability of a dropout
    def checked_dropout_factor(self, value: Any, name: str = "dropout_factor") -> float:
        """What all probabilities may be multiplied by: >= 0, and each product below 1."""
    def catch_up(self) -> int:
        """All rows of all parameters make the steps that they have missed, with rows="exact". So does whatever reads
        parameters, but not who reads the arrays."""
    def touched(self, stepper: Stepper, x: Any) -> list[NDArray[np.int64] | None]:
        """Of each parameter, which rows of it x names, where the optimizer goes by these alone; else None. It is about
        to make a step."""
    def forward(self, x: Data, training: bool, dropout_factor: Any = 1.0) -> NDArray[Any]:
        """x: (rows, n_in), the network's dtype, C-contiguous. Returns a new array. training: dropout
        applies and backward() may follow (a copy of x is kept for it)."""
    def backward(self, dout: NDArray[Any], want_dx: bool) -> NDArray[Any] | tuple[NDArray[Any] | None, ...] | None:
        """dout as forward's result, C-contiguous, not changed. Fills gradients. Returns the gradient by the input, or
        a tuple of those by the inputs, None for codes. RuntimeError without a forward."""
    def predict(self, x: Data, out: NDArray[Any] | None) -> NDArray[Any]:
        """Slab by slab over any number of rows, without dropout; out: C-contiguous (rows, n_out). One row may lack its
        axis: (n_in,) and (n_out,)."""
    def try_predict(self, x: Any, out: Any) -> NDArray[Any] | None:
        """predict for whatever x and out are; None, and nothing done, where they are not seen at once to fit."""
    def accepts_finite(self, x: Any) -> bool:
        """accepts_inputs, and every element is finite."""
    def predict_finite(self, x: Any) -> NDArray[Any] | None:
        """try_predict of x (rows, n_in); None, too, where x is not finite."""
    def check_inputs(self, x: Data) -> None:
        """ValueError or TypeError where x does not fit, or a code is out of range."""
    def accepts_inputs(self, x: Any) -> bool:
        """Whether x is seen at once to fit as it is, with at least one row. False: it may fit, or be made to."""
    def accepts_targets(self, y: Any, rows: int, loss: Any) -> bool:
        """The same of y, for so many rows and this loss, if it is a compiled one; its range included, except that of
        labels, which every call with labels looks at."""
    def loss(
        self,
        x: Data,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        loss: LossSpec,
    ) -> float:
        """Weighted mean loss over all rows, without dropout, slab by slab. y: int64 labels (rows,) for
        cross_entropy, else the network's dtype (rows, n_out), C-contiguous."""
    def loss_and_prediction(
        self,
        x: Data,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        loss: LossSpec,
    ) -> tuple[float, NDArray[Any] | None]:
        """`loss` and what `predict` gives, of one pass; None where the loss takes logits and the network gives
        probabilities."""
    def loss_and_gradients(
        self,
        x: Data,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        loss: LossSpec,
        dropout_factor: Any = 1.0,
    ) -> float:
        """Training pass: fills gradients, returns the weighted mean loss."""
    def try_loss_and_gradients(
        self, x: Any, y: Any, weights: Any, loss: Any, dropout_factor: Any = 1.0
    ) -> float | None:
        """loss_and_gradients for whatever its arguments are; None, and nothing done, where the arrays are not seen at
        once to fit, or the loss is not a compiled one."""
    def train_step(
        self,
        x: Data,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        loss: LossSpec,
        stepper: Stepper,
        groups: list[dict[str, Any]],
        clip_value: Any = None,
        clip_norm: Any = None,
        dropout_factor: Any = 1.0,
    ) -> float:
        """loss_and_gradients and, if loss and gradients are finite (they are read first), the step.

        The stepper's params must be arrays of this network's parameters. Returns the loss; NotFinite if something is
        not finite, and then nothing has been updated."""
    def try_train_step(
        self,
        x: Any,
        y: Any,
        weights: Any,
        loss: Any,
        stepper: Stepper,
        groups: list[dict[str, Any]],
        clip_value: Any,
        clip_norm: Any,
        dropout_factor: Any = 1.0,
    ) -> float | None:
        """train_step for whatever x, y, weights and loss are; None, and nothing done, where they are not seen at once
        to fit, or the loss is not a compiled one."""

class AsBefore:
    """A context after which states and draws are as they were, if an exception ends it; unless the optimizer has made a
    step in it."""

    def __init__(self, net: Net, stepper: Stepper | None = None) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *exception: object) -> None: ...

class OneTime:
    """A network's layers for one time of sequences, over its own parameters."""

    def __init__(self, net: Net, nodes: Sequence[Node]) -> None:
        """nodes: those of the network, for one time."""
    def try_step(self, x: Any, state: Any, out: Any) -> NDArray[Any] | None:
        """`Network.step`, if all are seen at once to fit, else None."""
    def step(self, x: Data, state: NDArray[Any], out: NDArray[Any]) -> None:
        """x: (rows, columns), state: (rows, Net.state), out: (rows, columns), the network's dtype, C-contiguous."""

# A least share of height and width that is cut out; whether images are turned upside down, and left to right; most
# places that they are moved down, and across; what comes in from outside.
Augmentation = tuple[float, tuple[bool, bool], tuple[int, int], float]

def augmented(x: NDArray[Any], given: Augmentation, seed: int, draw: int) -> NDArray[Any]:
    """x (rows, height, width, channels), C-contiguous, as training pass `draw` of a network with this seed would have
    it; a new array."""

class Trainer:
    """Whole epochs. Holds references to the data; X, y as in Net.loss, weights float64 or None."""

    def __init__(
        self,
        net: Net,
        stepper: Stepper,
        groups: list[dict[str, Any]],
        loss: LossSpec | Callable[..., tuple[float, Any]],
        x: Data,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        batch_size: int,
        clip_value: float,
        clip_norm: float,
        restores: bool = False,
        penalty: tuple[int, float, float] | None = None,
        counts_rows: bool = False,
        drop_last: bool = False,
        carries: bool = False,
        augment: tuple[int, Sequence[int], Augmentation] | None = None,
    ) -> None:
        """A callable loss gets (prediction, target) arrays of a batch (target as the rows of y that was given), with
        weights theirs too, and returns (mean value, gradient of it, C-contiguous, of the prediction's shape and dtype).
        x may be compressed rows, where the network has one input: start (int64, rows + 1), columns (int32 or int64),
        values. restores: keeps a copy of what training changes, to go back to. penalty (group, l1, l2): each batch's
        loss gets (l1 sum |p| + l2 / 2 sum p^2) / total of its weights over the parameters of this group. counts_rows:
        `loss` counts batches by their rows, not by their weights. drop_last: a last batch with fewer rows than the
        others is left out of each epoch. carries: row i of each batch goes on in the state in which that of the batch
        before ended, those of an epoch's first batch in zeros; batches are then in order, and equally large. Rows of x
        may overlap: (rows, columns) that lie closer together than they are long, each without gaps. augment: the number
        of an input, its (height, width), and what happens to its images as batches are gathered."""
    steps_per_epoch: int
    way_to_rest: list[float] | None  # for move_params to where parameters rest; None: they always do; writable
    def shorten(self, steps: int) -> None:
        """Epochs from now on are their first so many steps, or all where they have no more. RuntimeError within one."""
    def restore(self) -> int:
        """Go back to the start of the last epoch whose first loss was finite; with it go those that it went on
        after. Its number."""
    def keep(self, anew: bool) -> None:
        """Whether each of the next epochs is copied, to go back to; without this call, if it is long enough."""
    def set_aside(self) -> None:
        """Keep the copies that are there beside those to come; none are where tables are too large."""
    def take_aside(self) -> None:
        """What `restore` goes back to is what was set aside."""
    @property
    def epoch_aside(self) -> int | None: ...
    @property
    def epoch_kept(self) -> int | None:
        """The epoch at whose start the copies were made."""
    def losses_from(self, first: int) -> NDArray[np.float64]:
        """Those of the epoch's batches from this one on."""
    def start_epoch(
        self,
        shuffle_seed: int | None,
        epoch: int,
        lrs: NDArray[np.float64] | None,
        order: NDArray[np.int64] | None = None,
        decays: Sequence[NDArray[np.float64] | None] | None = None,
        dropouts: NDArray[np.float64] | None = None,
        batches: int | None = None,
        after: Trainer | None = None,
    ) -> None:
        """order: of the rows; copied. Without, shuffle_seed None: rows in order; so they
        stay, too, where one batch is all rows and the loss is compiled.

        lrs: one a step, for every group; None: the groups' own. decays: the same for the weight decay of each group.
        dropouts: one a step, by which all probabilities of dropout are multiplied. batches: so many of the epoch's
        are made when this has made its own; None: all. after: who has made those before, with another optimizer over
        the same data."""

    def run(self, seconds: float) -> bool:
        """Steps for at most about so many seconds (at least one). True: the epoch goes on. NotFinite where
        a loss or gradient was not finite (no update was made from a non-finite loss; from a non-finite gradient
        it may have been). Python signal handlers run between calls."""
    loss: float  # weighted mean over this epoch so far
    last_loss: float  # of the last batch
    batch_losses: NDArray[np.float64]  # of the epoch's batches so far, as the last one; a copy
    batches_done: int  # of this epoch

def run_side_by_side(trainers: list[Trainer], seconds: float) -> list[object]:
    """run() of several trainers of different networks and optimizers, each on one thread; losses are compiled ones. For
    each what run() returns, or the exception that it raises. Comes back soon after a thread has nothing left to do."""

class HasEpochs(Protocol):
    epochs_done: int

class Ending:
    """A context around a trainer's epochs, at whose end, whatever ends it, everything is restored if training has
    diverged, parameters go to where they rest, and the calls of `last` are made."""

    def __init__(
        self,
        trainer: Trainer,
        network: HasEpochs,
        failure: type[Exception] | None,
        last: Sequence[tuple[Any, ...]],
    ) -> None:
        """failure: the exception that says that training has diverged; None: nothing is restored. last: as for in_turn;
        it may be filled later."""
    trainer: Trainer  # writable
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...

class Endings:
    """A context around several trainers' epochs, at whose end, whatever ends it, each of the endings is made that has
    not been before."""

    def __init__(self, endings: list[Ending]) -> None: ...
    def end(self, ending: Ending, error: Exception | None = None) -> None:
        """Make one of them, after this error."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...

# Ranking by pairs.
RANKINGS: Final[tuple[str, ...]]

def table_rows(rows: int, slots: int, stride: int, dtype: Any) -> NDArray[Any]:
    """Zeros (rows, slots, stride), 64-byte aligned."""

class TableRows:
    """Users, or items: a table (features, slots, stride) of float32 or float64, stride a multiple of 16: parameters,
    then states. Each of n is a row of its own, or by features = start (n + 1,) int64, codes int32, values the sum of
    rows codes[start[i]:start[i + 1]] times values. Nobody else may write to these three."""

    def __init__(
        self,
        n: int,
        table: NDArray[Any],
        features: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]] | None = None,
        alpha: float = 0.0,
    ) -> None: ...
    table: NDArray[Any]
    def representations(self) -> NDArray[Any]:
        """(n, stride): what each is, its bias behind the components."""

def pair_scores(
    of_users: NDArray[Any], of_items: NDArray[Any], dim: int, users: NDArray[np.int32], items: NDArray[np.int32]
) -> NDArray[Any]:
    """Scores of users[k] with items[k] from `TableRows.representations` of both."""

class Pairwise:
    """Epochs over pairs that were seen, which nobody else may write to meanwhile.

    seen: users and items int32 (n,), liked uint8 (n,) for "logistic", else None, weights (n,) of the tables' dtype or
    None. known: compressed rows of the users' items, start int64 and codes int32, rising, which no negative is one of.
    adadelta: rho, eps. popular: items of which "bpr" draws, each as likely. rank_losses: float64 (max_sampled,). batch:
    pairs that make one step, 0: each makes its own. "warp-kos" does not look at the items that were seen."""

    def __init__(
        self,
        loss: str,
        dim: int,
        users: TableRows,
        items: TableRows,
        seen: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8] | None, NDArray[Any] | None],
        known: tuple[NDArray[np.int64], NDArray[np.int32]],
        *,
        adadelta: tuple[float, float] | None = None,
        popular: NDArray[np.int32] | None = None,
        max_sampled: int = 0,
        rank_losses: NDArray[np.float64] | None = None,
        kos: tuple[int, int] = (1, 1),
        seed: int = 0,
        batch: int = 0,
    ) -> None: ...
    steps_per_epoch: int
    steps: int  # made in this epoch
    loss: float  # mean of this epoch's pairs so far, those left out not counted; NaN: there was none
    skipped: int  # pairs of this epoch without a negative, or users without anything that they like
    def begin(self, epoch: int, lrs: NDArray[np.float64]) -> None:
        """A new epoch. lrs: one rate, or one of each step."""
    def run(self, seconds: float) -> bool:
        """Go on with it; whether there is more to do. ArithmeticError: a score or a row was NaN or infinite."""

# Recommenders.
def draw_rows(out: NDArray[Any], rows: NDArray[np.int64], mean: float, scale: float, seed: int, stream: int) -> None:
    """Rows of a table (n, cols) become what they would be if all of it were drawn, normal: no row depends on others."""

class Factors:
    """Tables of users and items, C-contiguous and of one dtype, that steps are made in; biases may both be None. lr and
    reg: of user_bias, item_bias, user and item."""

    def __init__(
        self,
        user: NDArray[Any],
        item: NDArray[Any],
        user_bias: NDArray[Any] | None,
        item_bias: NDArray[Any] | None,
        mean: float,
        lr: Sequence[float],
        reg: Sequence[float],
    ) -> None: ...
    def epoch(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        ratings: NDArray[Any],
        weights: NDArray[Any] | None,
        order: NDArray[np.int64],
    ) -> float:
        """A step for each rating, in this order. Returns the sum of the squared errors before the steps, weighted.
        Python signal handlers run now and then."""

    def predict(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """Users and items whose numbers are out of range have no bias and no factors."""

class Ranking:
    """Scores of users for items: user . item + item_bias, or, if user, item and item_bias are None, those given. Arrays
    are C-contiguous and of one dtype.

    users: whose row each is, -1 for one of zeros; None: their own. left_out: compressed rows (start, indices) of all
    users and of `columns` items, which are not ranked. numbers: which of these items are here, rising; None: all."""

    def __init__(
        self,
        user: NDArray[Any] | None,
        item: NDArray[Any] | None,
        item_bias: NDArray[Any] | None,
        scores: NDArray[Any] | None,
        users: NDArray[np.int64] | None,
        left_out: tuple[NDArray[np.int64], NDArray[Any]] | None,
        columns: int,
        numbers: NDArray[np.int64] | None,
    ) -> None: ...
    def best(self, k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The first k items of each row and their scores; -1 and NaN where there are fewer."""

    def place(self, positives: tuple[NDArray[np.int64], NDArray[Any]]) -> NDArray[np.int64]:
        """Where each of these lies, from 0 on; -1: it is left out. Not with users or numbers."""

    def metric(self, name: str, k: int, gains: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """precision, recall, ndcg or auc of each row, of the places found last."""

# For tests and benchmarks: single kernels of the level in use. Arrays C-contiguous, of one dtype, results new.
def gemm(
    a: NDArray[Any],
    b: NDArray[Any],
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """op(a) op(b), into `out` if given."""

def activate(name: str, x: NDArray[Any], alpha: float = 0.0) -> NDArray[Any]: ...
def elementary(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """exp, log, tanh, erfc, expm1, log1p (the last for 0 <= x <= 1)."""

# Between reals and numbers of a format ("float32", "float64", "bfloat16", "float16", "bfloat16_stochastic", "split",
# "8bit_signed", "8bit_unsigned"), in arrays that the caller has. codes and more are looked at as bytes; more is what a
# format has beside its codes: the lower halves of "split", the scales of 8 bits, else None.
def widen(name: str, codes: NDArray[Any], more: NDArray[Any] | None, out: NDArray[Any]) -> None:
    """Numbers of the format into out, float32 or float64."""

def narrow(
    name: str,
    x: NDArray[Any],
    codes: NDArray[Any],
    more: NDArray[Any] | None = None,
    seed: int = 0,
    number: int = 0,
    t: int = 0,
    first: int = 0,
) -> None:
    """X, float32 or float64, into codes and more. The last four: which random numbers round."""

def ways(kind: str = "plain") -> tuple[tuple[int, int], ...]:
    """Ways to walk over large arrays, by their numbers: bytes of a chunk, bytes that are fetched ahead (0: none)."""

def chosen_way(rule: str, several_threads: bool, nbytes: int, kind: str = "plain") -> int | None:
    """Which one steps have chosen over parameters of so many bytes, None: none so far."""

def force_way(number: int | None) -> None:
    """All steps go this way; None: as they choose."""

def forget_ways() -> None:
    """What was chosen. No step may be running."""
