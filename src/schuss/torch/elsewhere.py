"""Parameters on other devices, which torch's own optimizer of the same arguments steps."""

from __future__ import annotations

from typing import Any


class Elsewhere:
    """Torch's own optimizer over those parameters of an optimizer that are not on the CPU.

    Parameters
    ----------
    kind : class or None
        Torch's.
    groups : list of dict
        The optimizer's.
    members : list of (int, Tensor)
        The group of each of these parameters.
    name : str
        What messages call the first of them.

    Raises
    ------
    ValueError
        If torch has no such optimizer.
    """

    def __init__(self, kind: Any, groups: list[dict[str, Any]], members: list[tuple[int, Any]], name: str) -> None:
        if kind is None:
            raise ValueError(
                f"{name} is on device {members[0][1].device}, expected cpu: torch has no optimizer of this kind to "
                "leave it to"
            )
        self._groups: list[tuple[int, dict[str, Any]]] = []
        for k, group in enumerate(groups):
            of_group = [tensor for of, tensor in members if of == k]
            if of_group:
                self._groups.append((k, {**group, "params": of_group}))
        self._optimizer = kind([group for _, group in self._groups])

    def share(self, state: Any) -> None:
        """States are kept there from now on."""
        self._optimizer.state = state

    def step(self, groups: list[dict[str, Any]], scale: float, clip_norm: float | None) -> None:
        """The step, with the hyperparameters that the optimizer's groups have now."""
        if clip_norm is not None or scale != 1:
            raise ValueError(
                "clip_norm and grad_scale must not be given where a parameter is on another device than the CPU: use "
                "torch.nn.utils.clip_grad_norm_, and the scaler's unscale_"
            )
        for (k, _), group in zip(self._groups, self._optimizer.param_groups, strict=True):
            group.update((name, value) for name, value in groups[k].items() if name != "params")
        self._optimizer.step()
