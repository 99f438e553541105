"""Muon, and AdamW for what is no matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..arguments import flag, shown, unknown_name
from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import Entry, NoDecay, Params, Structure
    from .base import LearningRate


class Muon(Optimizer):
    """Momentum whose update is made orthogonal: all its singular values nearly 1.

    ``b = b + (1 - momentum) (g - b)``, ``u = g + momentum (b - g)`` with ``nesterov``, else ``b``. From
    ``x = u / max(|u|, eps)``, ``ns_steps`` times ``x = a x + (b x x' + c (x x')^2) x``, Newton and Schulz's iteration
    with ``ns_coefficients`` (a, b, c); then ``p = (1 - lr weight_decay) p - lr s x`` with ``s = sqrt(max(1, m / n))``
    for an ``m x n`` matrix, or with ``adjust_lr_fn`` "match_rms_adamw" ``s = 0.2 sqrt(max(m, n))``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. Matrices; arrays of other dimensions need ``adamw``, or a group with ``use_muon`` False.
    lr : float or callable
        As for `SGD`.
    weight_decay : float or callable
        >= 0.
    momentum : float
        >= 0.
    nesterov : bool
        See above.
    ns_coefficients : (float, float, float)
        The defaults bring small singular values up fast, and end up between 0.7 and 1.2.
    eps : float
        >= 0.
    ns_steps : int
        1 to 99.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        See above; None is "original". With "match_rms_adamw" updates are about as large as AdamW's, so its ``lr`` and
        ``weight_decay`` will do.
    products : {None, "bfloat16"}
        What the elements of the iteration's products are rounded to, to the nearest: None to nothing. See the notes.
    adamw : dict, optional
        `AdamW` steps arrays that are no matrices, with these of its own ``lr``, ``betas``, ``eps``, ``weight_decay``
        and ``amsgrad``. They go to new groups, behind those that were given. Without it they are refused.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Raises
    ------
    ValueError
        If an array is no matrix, and neither ``adamw`` nor its group says what to do with it.

    Notes
    -----
    For the hidden layers of networks, where its authors need fewer steps than with AdamW. They leave embeddings and the
    last layer to AdamW, as what is no matrix. Put these into a group with ``use_muon`` False; it takes AdamW's
    hyperparameters, those of ``adamw`` unless it has its own::

        Muon([{"params": hidden}, {"params": [embedding, head, *biases], "use_muon": False, "lr": 3e-4}], lr=0.02)

    States: "momentum_buffer" of the parameter's shape; for AdamW its own. A step of an ``m x n`` matrix, ``m <= n``,
    takes ``ns_steps (4 m^2 n + 2 m^3)`` operations, a third of which are saved since symmetric products are made by
    half, and room for two matrices ``m x n`` and two ``m x m``: that of the largest matrix, kept from step to step.

    torch runs the iteration in bfloat16, here it is in the dtype of the parameters. In the iteration a rounding grows;
    with bfloat16's, single elements of the update are off by some percent. With ``products="bfloat16"`` the two
    factors of x x', of its square and of (...) x are rounded, to the nearest with ties to even, as torch's are; sums
    are float32, and ``a x`` and ``b x x'`` are added to them as they are. That is for CPUs with AVX512_BF16; elsewhere
    it gives the same bits and saves no time. A sum is a chain of fused multiply-adds, two by two, the second first.

    A momentum that sums, ``b = momentum b + g``, as formulas have it, gives the same, since only the direction of u
    counts. The authors' code has ``lr`` 0.02 and no decay, and the option ``use_muon`` too; optax steps what is no
    matrix by Adam unasked.

    References
    ----------
    K. Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024),
    https://kellerjordan.github.io/posts/muon. J. Liu, J. Su et al., Muon is Scalable for LLM Training (2025), for
    "match_rms_adamw".
    """

    _name = "muon"
    _rule = "muon"
    _decoupled = True
    _own_flags: ClassVar[frozenset[str]] = frozenset({"use_muon"})
    _of_network: ClassVar[Mapping[str, Any]] = {"adamw": {}}

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        weight_decay: LearningRate = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        products: str | None = None,
        adamw: Mapping[str, Any] | None = None,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        if adamw is not None and not isinstance(adamw, Mapping):
            raise TypeError(f"adamw must be a dict of hyperparameters; got {shown(adamw)} ({type(adamw).__name__})")
        for key in adamw or ():
            if key not in _ADAMW:
                raise unknown_name("adamw's key", key, _ADAMW)
        self._moves = adamw is not None
        self._adamw = {**_ADAMW, **(adamw or {}), "maximize": maximize, "use_muon": False}
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
            products=products,
            maximize=maximize,
            use_muon=True,
            no_decay=no_decay,
        )

    def _placed(
        self, entries: list[Entry], options: list[dict[str, Any]], form: Structure
    ) -> tuple[list[Entry], list[dict[str, Any]]]:
        """Arrays that are no matrices in groups of AdamW's, one behind all others for each group that had some."""
        entries, options = list(entries), list(options)
        for group in range(len(options)):
            if not flag("use_muon", options[group].get("use_muon", True)):
                continue
            members = [k for k, entry in enumerate(entries) if entry.group == group]
            moved = [k for k in members if entries[k].array.ndim != 2]
            if moved and not self._moves:
                raise ValueError(
                    f"{form.parameter(moved[0])} must be a matrix, or in a group with use_muon False, or adamw be "
                    f"given; got shape {entries[moved[0]].array.shape}"
                )
            if moved == members:
                options[group] = {"use_muon": False}
            elif moved:
                options.append({"use_muon": False})
                for k in moved:
                    entries[k] = entries[k]._replace(group=len(options) - 1)
        return entries, options

    def _defaults_of(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        return defaults if given.get("use_muon", True) else self._adamw

    def _rule_of(self, given: Mapping[str, Any]) -> str:
        return "muon" if given["use_muon"] else "adam"


# AdamW's hyperparameters, where its groups and `adamw` have no others.
_ADAMW: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False}
