"""Update rules in plain NumPy, in place, as careful hands write them: one ufunc an operation, each with ``out=``.

The rules stand here as formulas, which become these calls: ``p = p - lr * m`` is

    multiply(m, lr, out=a); subtract(p, a, out=p)

with as few scratch vectors a, b, ... as the formulas allow. Operations on numbers alone stay Python's.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from .cases import BETAS, EPS, LEARNING_RATE, Float

Step = Callable[[], None]

_NUMBERS = {"lr": LEARNING_RATE, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPS}
_UFUNCS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.USub: "negative",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
# What formulas may call beside operators.
_CALLED = ("sqrt", "sign", "absolute", "maximum", "minimum", "copyto")
_NUMBERS_OF = ("dot", "sum")


@dataclass(frozen=True)
class Rule:
    """A rule's formulas.

    Attributes
    ----------
    states : str
        Names of the arrays beside p and g; zeros at first.
    formulas : str
        Assignments, and ``if`` on numbers. t is the number of the step, from 1.
    numbers : dict
        What differs from, or comes on top of, lr, beta1, beta2 and eps; x_start: what the state x holds at first.
    """

    states: str
    formulas: str
    numbers: Mapping[str, float] = field(default_factory=dict)


class _Calls:
    """Formulas made into calls, in `lines`; how many scratch vectors they need, in `scratch`."""

    def __init__(self, arrays: set[str], formulas: str) -> None:
        self._arrays = arrays
        self._free: list[str] = []
        self.scratch: list[str] = []
        self.lines: list[str] = []
        self.numbers: set[str] = set()
        self._statements(ast.parse(formulas).body, "    ")

    def _statements(self, body: list[ast.stmt], indent: str) -> None:
        for one in body:
            self._indent = indent
            if isinstance(one, ast.If):
                self.lines.append(f"{indent}if {ast.unparse(one.test)}:")
                self._statements(one.body, indent + "    ")
                self.lines.append(f"{indent}else:")
                self._statements(one.orelse or [ast.Pass()], indent + "    ")
            elif isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                self._assign(one.targets[0].id, one.value)
            else:
                self.lines.append(indent + ast.unparse(one))

    def _assign(self, target: str, value: ast.expr) -> None:
        if target not in self._arrays:
            self.numbers.add(target)
            self._call(f"{target} = {ast.unparse(_Sums(self).visit(value))}")
            return
        found = self.value(value, target)
        if found != target:
            self._call(f"copyto({target}, {found})")
            self.give_back(found)

    def _call(self, line: str) -> None:
        self.lines.append(self._indent + line)

    def _has_array(self, node: ast.AST, names: set[str] | None = None) -> bool:
        """Whether it is an array, or one of these; a sum of an array is a number."""
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _NUMBERS_OF and names is None:
            return False
        if isinstance(node, ast.Name) and node.id in (self._arrays if names is None else names):
            return True
        return any(self._has_array(child, names) for child in ast.iter_child_nodes(node))

    def value(self, node: ast.expr, target: str | None = None) -> str:
        """The array, or number, that holds an expression's value: `target`, if that can be."""
        if not self._has_array(node):
            return ast.unparse(node)
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.BinOp):
            name, operands = _UFUNCS[type(node.op)], [node.left, node.right]
        elif isinstance(node, ast.UnaryOp):
            name, operands = _UFUNCS[type(node.op)], [node.operand]
        elif isinstance(node, ast.Compare):
            name, operands = _UFUNCS[type(node.ops[0])], [node.left, node.comparators[0]]
        elif isinstance(node, ast.Call):
            name, operands = ast.unparse(node.func), list(node.args)
        else:
            raise ValueError(ast.unparse(node))
        found = []
        for k, operand in enumerate(operands):
            others = operands[:k] + operands[k + 1 :]
            free = target is not None and not any(self._has_array(other, {target}) for other in others)
            # Only one of them may be in the target.
            found.append(self.value(operand, target if free and target not in found else None))
        for one in found:
            self.give_back(one)
        out = target or self._take()
        self._call(f"{name}({', '.join(found)}, out={out})")
        return out

    def _take(self) -> str:
        if not self._free:
            self.scratch.append(f"scratch{len(self.scratch)}")
            return self.scratch[-1]
        return self._free.pop()

    def give_back(self, name: str) -> None:
        if name in self.scratch and name not in self._free:
            self._free.append(name)


class _Sums(ast.NodeTransformer):
    """Sums within an expression of numbers: of arrays that are there, or have been computed."""

    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func)
        if name not in _NUMBERS_OF:
            return self.generic_visit(node)
        found = [self._calls.value(argument) for argument in node.args]
        for one in found:
            self._calls.give_back(one)
        return ast.parse(f"float({name}({', '.join(found)}))", mode="eval").body


@cache
def source(name: str) -> tuple[str, tuple[str, ...]]:
    """A rule's step as Python, and the vectors that it needs beside p and g."""
    rule = RULES[name]
    states = rule.states.split()
    calls = _Calls({"p", "g", *states}, rule.formulas)
    changing = ", ".join(["t", *sorted(calls.numbers)])
    lines = ["def step():", f"    global {changing}", "    t += 1", *calls.lines]
    return "\n".join(lines), (*states, *calls.scratch)


def step_of(name: str, p: Float, g: Float, **numbers: float) -> Step:
    """A step of a rule over p, by g. numbers: other values of its own."""
    text, vectors = source(name)
    scope: dict[str, Any] = {"p": p, "g": g, "t": 0, **_NUMBERS, **RULES[name].numbers, **numbers}
    scope.update({vector: np.full_like(p, scope.get(f"{vector}_start", 0)) for vector in vectors})
    scope.update({ufunc: getattr(np, ufunc) for ufunc in (*_UFUNCS.values(), *_CALLED, *_NUMBERS_OF)})
    exec(text, scope)
    made: Step = scope["step"]
    return made


_MEANS = """
m = m + (1 - beta1) * (g - m)
v = beta2 * v + (1 - beta2) * (g * g)
"""
_ROOT = "(sqrt(v) * (1 - beta2**t) ** -0.5 + eps)"
_DECAYED = "(1 - lr * decay) * p"
_ADAM = _MEANS + "p = {p} - lr / (1 - beta1**t) * (m / " + _ROOT + ")"

RULES: dict[str, Rule] = {
    "SGD": Rule("b", "b = momentum * b + g\np = p - lr * b", {"momentum": 0.9}),
    "ASGD": Rule(
        "x",
        """
eta = lr / (1 + lambd * lr * (t - 1)) ** 0.75
p = (1 - lambd * eta) * p - eta * g
x = x + 1 / max(1, t - 1) * (p - x)
""",
        {"lambd": 1e-4},
    ),
    "AdaGrad": Rule("s", "s = s + g * g\np = p - lr * (g / (sqrt(s) + eps))", {"eps": 1e-10}),
    "Adadelta": Rule(
        "s u d",
        """
s = rho * s + (1 - rho) * (g * g)
d = sqrt((u + eps) / (s + eps)) * g
u = rho * u + (1 - rho) * (d * d)
p = p - lr * d
""",
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    ),
    "RMSProp": Rule("s", "s = alpha * s + (1 - alpha) * (g * g)\np = p - lr * (g / (sqrt(s) + eps))", {"alpha": 0.99}),
    # The factor is 1.2, 0.5 or 1 where d is 1, -1 or 0.
    "Rprop": Rule(
        "q z d",
        """
d = sign(g * q)
z = minimum(maximum(z * (1 + d * (0.35 - 0.15 * d)), 1e-6), 50.0)
q = g * (d >= 0)
p = p - sign(q) * z
""",
        {"z_start": LEARNING_RATE},
    ),
    "Adam": Rule("m v", _ADAM.format(p="p")),
    "AdamW": Rule("m v", _ADAM.format(p=_DECAYED), {"decay": 0.01}),
    "Adamax": Rule(
        "m u",
        """
m = m + (1 - beta1) * (g - m)
u = maximum(beta2 * u, absolute(g) + eps)
p = p - lr / (1 - beta1**t) * (m / u)
""",
    ),
    "NAdam": Rule(
        "m v",
        _MEANS
        + """
mu = beta1 * (1 - 0.5 * 0.96 ** (t * 0.004))
coming = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
product = product * mu
p = p - (lr * (1 - mu) / (1 - product) * g + lr * coming / (1 - product * coming) * m) / """
        + _ROOT,
        {"product": 1.0},
    ),
    "RAdam": Rule(
        "m v",
        _MEANS
        + """
most = 2 / (1 - beta2) - 1
rho = most - 2 * t * beta2**t / (1 - beta2**t)
size = lr / (1 - beta1**t)
if rho > 5:
    size = size * ((1 - beta2**t) * (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) ** 0.5
    p = p - size * (m / (sqrt(v) + eps))
else:
    p = p - size * m
""",
    ),
    "Lion": Rule(
        "m",
        f"""
p = {_DECAYED} - lr * sign(beta1 * m + (1 - beta1) * g)
m = beta2 * m + (1 - beta2) * g
""",
        {"beta2": 0.99, "decay": 0.01},
    ),
    "LAMB": Rule(
        "m v u",
        _MEANS
        + f"""
u = 1 / (1 - beta1**t) * m / {_ROOT} + decay * p
p = p - lr * (dot(p, p) / dot(u, u)) ** 0.5 * u
""",
        {"lr": 1e-4, "decay": 0.01, "eps": 1e-6},
    ),
    "LARS": Rule(
        "b",
        """
factor = lr * trust * (dot(p, p) / dot(g, g)) ** 0.5
b = momentum * b + factor * g
p = p - b
""",
        {"lr": 1e-2, "momentum": 0.9, "trust": 0.001},
    ),
    "Adan": Rule(
        "m w n q d",
        """
if t > 1:
    d = g - q
q = 1.0 * g
m = m + (1 - beta1) * (g - m)
w = w + (1 - beta2) * (d - w)
d = g + beta2 * d
n = beta3 * n + (1 - beta3) * (d * d)
p = p - (lr / (1 - beta1**t) * m + lr * beta2 / (1 - beta2**t) * w) / (sqrt(n) * (1 - beta3**t) ** -0.5 + eps)
""",
        {"beta1": 0.98, "beta2": 0.92, "beta3": 0.99},
    ),
    "AdaBelief": Rule(
        "m v d",
        """
m = m + (1 - beta1) * (g - m)
d = g - m
v = beta2 * v + (1 - beta2) * (d * d) + eps
p = p - lr / (1 - beta1**t) * (m / """
        + _ROOT
        + ")",
        {"eps": 1e-16},
    ),
    "AdEMAMix": Rule(
        "m l v",
        _MEANS
        + """
l = l + (1 - beta3) * (g - l)
p = p - (lr / (1 - beta1**t) * m + lr * alpha * l) / """
        + _ROOT,
        {"beta3": 0.9999, "alpha": 5.0},
    ),
    "ADOPT": Rule(
        "m v",
        """
if t == 1:
    v = g * g
else:
    limit = (t - 1) ** 0.25
    m = m + (1 - beta1) * (minimum(maximum(g / maximum(sqrt(v), eps), -limit), limit) - m)
    p = p - lr * m
    v = beta2 * v + (1 - beta2) * (g * g)
""",
        {"beta2": 0.9999, "eps": 1e-6},
    ),
    "Yogi": Rule(
        "m v d",
        """
m = m + (1 - beta1) * (g - m)
d = g * g
v = v - sign(v - d) * ((1 - beta2) * d)
p = p - lr / (1 - beta1**t) * (m / """
        + _ROOT
        + ")",
        {"eps": 1e-3, "v_start": 1e-6},
    ),
    "NovoGrad": Rule(
        "m",
        """
total = dot(g, g)
norm = beta2 * norm + (1 - beta2) * total if t > 1 else total
m = beta1 * m + 1 / (norm**0.5 + eps) * g
p = p - lr * m
""",
        {"beta1": 0.95, "beta2": 0.98},
    ),
    "Signum": Rule("m", "m = momentum * m + (1 - momentum) * g\np = p - lr * sign(m)", {"momentum": 0.9}),
    "Prodigy": Rule(
        "m v s q d",
        """
if t == 1:
    q = 1.0 * p
d = q - p
rate = distance
numerator = beta2**0.5 * numerator + distance / 1e-6 * rate * dot(g, d)
s = beta2**0.5 * s + distance / 1e-6 * rate * g
largest = max(largest, numerator / sum(absolute(s)))
m = beta1 * m + rate * (1 - beta1) * g
v = beta2 * v + rate * rate * (1 - beta2) * (g * g)
distance = largest
p = p - rate * (m / (sqrt(v) + distance * eps))
""",
        {"distance": 1e-6, "largest": 1e-6, "numerator": 0.0},
    ),
    "ScheduleFreeSGD": Rule(
        "z",
        """
if t == 1:
    z = 1.0 * p
p = p + 1 / t * (z - p) - lr * (1 - momentum * (1 - 1 / t)) * g
z = z - lr * g
""",
        {"momentum": 0.9},
    ),
    "ScheduleFreeAdamW": Rule(
        "z v d",
        """
if t == 1:
    z = 1.0 * p
v = beta2 * v + (1 - beta2) * (g * g)
d = g / """
        + _ROOT
        + """
p = p + 1 / t * (z - p) - lr * (1 - beta1 * (1 - 1 / t)) * d
z = z - lr * d
""",
    ),
    "FTRL": Rule(
        "n z d",
        """
d = sqrt(n)
n = n + g * g
z = z + (g - (sqrt(n) - d) * (1 / lr) * p)
p = negative(z) / (sqrt(n) * (1 / lr))
""",
        {"n_start": 0.1},
    ),
}
