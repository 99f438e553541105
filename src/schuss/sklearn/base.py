"""What both estimators share: arguments, the network, prediction. `fitting` fits them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..optim import BY_NAME
from ..threads import threads
from . import model
from .callbacks import CallbackSupportMixin
from .objective import Objective
from .validation import validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network
    from .held import Held
    from .rate import Rate

ACTIVATIONS = {
    "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "sigmoid", "gelu", "silu", "mish",
    "hard_swish", "softplus", "exp"
}  # fmt: skip


class BaseMLP(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """Arguments, network and prediction of both estimators."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(ACTIVATIONS), "array-like"],
        "solver": [StrOptions({"lbfgs", *BY_NAME}), type],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "l1": [Interval(Real, 0, None, closed="left")],
        "solver_options": [Mapping, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "clip_value": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_order": [StrOptions({"sklearn", "schuss"})],
    }

    loss: Any
    _network: Network
    _optimizer: Rate
    _best: NDArray[Any] | None

    def _take(self, given: dict[str, Any]) -> None:
        """The constructor's arguments, from its locals()."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # -- what the estimators differ in -------------------------------------------------------------------------------

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, NDArray[Any]]:
        """X and y checked; y in the form that the network is fitted to, (rows,) or (rows, columns)."""
        raise NotImplementedError

    def _objective(self, y: NDArray[Any]) -> Objective:
        """The loss for such a y."""
        raise NotImplementedError

    def _encoded(self, y: Any) -> NDArray[Any]:
        """Other targets, such as of validation, in the form that the network is fitted to."""
        raise NotImplementedError

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        """The way back."""
        raise NotImplementedError

    def _stratify(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """What the validation split keeps the shares of."""
        return None

    def _weights(self, y: NDArray[Any], sample_weight: Any, incremental: bool) -> Any:
        """The rows' weights in the loss."""
        return sample_weight

    def _validation_score(self, held: Held) -> float:
        """The score that early stopping looks at without a scoring of the user's."""
        raise NotImplementedError

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _threads(self) -> AbstractContextManager[Any]:
        return threads(self.n_jobs) if self.n_jobs is not None and self.n_jobs > 0 else nullcontext()

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        return list(sizes) if hasattr(sizes, "__iter__") else [sizes]

    def _per_layer(self, name: str, hidden: int, check: Callable[[Any], bool], expected: str) -> list[Any]:
        """An argument that may be one for all hidden layers, or one each."""
        given = getattr(self, name)
        if isinstance(given, (str, Real)):
            return [given] * hidden
        found = list(given)
        if len(found) != hidden:
            raise ValueError(f"{name} must be one for all hidden layers or {hidden}, one each; got {len(found)}")
        for value in found:
            if not check(value):
                raise ValueError(f"{name} must be {expected}; got {value!r}")
        return found

    def _layers(self, hidden: int) -> tuple[list[str], list[float]]:
        """What each layer ends with, the last too, and its dropout."""
        known = f"of {', '.join(sorted(ACTIVATIONS))}"
        activations = self._per_layer("activation", hidden, ACTIVATIONS.__contains__, known)
        rates = self._per_layer("dropout", hidden, _is_rate, "in [0, 1)")
        return [*activations, self.out_activation_], [*map(float, rates), 0.0]

    def _attach(self, network: Network) -> None:
        """Have the fitted arrays be the network's own."""
        lock, coefs, intercepts = threading.Lock(), list(network.parameters[0::2]), list(network.parameters[1::2])
        self._network, self.coefs_, self.intercepts_, self._lock = network, coefs, intercepts, lock

    def _is_plain(self, X: Any, y: Any) -> bool:
        """Whether a further fit's data are seen at once to be what scikit-learn's checks would leave as it is."""
        state = self.__dict__
        return (
            "_network" in state
            and "feature_names_in_" not in state
            and state.get("n_features_in_") == self._network.n_in
            and self._network._core.accepts_finite(X)
            and type(y) is np.ndarray
            and y.shape == X.shape[:1]
            and (y.dtype.kind in "biu" or (y.dtype.kind == "f" and bool(np.isfinite(y).all())))
        )

    def _synchronise(self) -> Network:
        """The network, with whatever was written into coefs_ and intercepts_, or set as arguments, since."""
        network: Network | None = self.__dict__.get("_network")
        mine = [array for pair in zip(self.coefs_, self.intercepts_, strict=True) for array in pair]
        ends, rates = self._layers(len(self.coefs_) - 1)
        units = [len(self.coefs_[0]), *(array.shape[1] for array in self.coefs_)]
        dtype = np.result_type(*mine) if network is None else network.dtype
        wanted = model.layers(units, ends, rates)
        before = network
        if network is None or network.layers != wanted:
            network = model.of_layers(wanted, dtype)
            if before is not None:
                model.hand_over(before, network)
        for array, own in zip(mine, network.parameters, strict=True):
            if array is not own:
                own[...] = array
        if network is before:
            self.coefs_[:], self.intercepts_[:] = network.parameters[0::2], network.parameters[1::2]
        else:
            self._attach(network)
        return network

    # -- prediction --------------------------------------------------------------------------------------------------

    def _output(self, X: Any, check_input: bool = True) -> NDArray[Any]:
        """What the output layer gives for X, (rows, outputs): at once where X is seen to be what the network takes."""
        state = self.__dict__
        network: Network | None = state.get("_network")
        if network is not None and "feature_names_in_" not in state and self._untouched(network):
            with self._lock, self._threads():
                found = network._core.predict_finite(X)
            if found is not None:
                return found
        check_is_fitted(self)
        if check_input:
            X = validated(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._synchronise()
        dtype = np.result_type(X.dtype, network.dtype)
        with self._lock, self._threads():
            out = model.output(network, X)
        return out.astype(dtype if dtype.kind == "f" else network.dtype, copy=False)

    def _untouched(self, network: Network) -> bool:
        """Whether coefs_ and intercepts_ are still the network's own arrays, which may have been written to."""
        parameters = network.parameters
        coefs, intercepts = self.coefs_, self.intercepts_
        if 2 * len(coefs) != len(parameters) or len(coefs) != len(intercepts):
            return False
        return all(coefs[i] is parameters[2 * i] and intercepts[i] is parameters[2 * i + 1] for i in range(len(coefs)))

    # -- state -------------------------------------------------------------------------------------------------------

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _as_it_is(self) -> dict[str, Any]:
        """What a copy needs in order to predict as this would now."""
        return {
            "coefs_": [array.copy() for array in self.coefs_],
            "intercepts_": [array.copy() for array in self.intercepts_],
            "_network": None,
        }

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_lock", None)
        if state.get("_network") is not None and self._untouched(state["_network"]):
            # They are the network's arrays, and are to be so again.
            del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._lock = threading.Lock()
        if "_network" in state and "coefs_" not in state:
            self._attach(state["_network"])

    def __sklearn_is_fitted__(self) -> bool:
        return "coefs_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _is_rate(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < 1
