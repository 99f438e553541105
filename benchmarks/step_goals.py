"""What the step is to reach, and which optimizers reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .tables import Row

Value = Callable[[Row], float | None]


def over(name: str) -> Value:
    """How many times longer another takes than we; None where it does not take part."""
    return lambda row: row.times[name].ratio(row.times[row.ours[0]]) if name in row.samples else None


def under(name: str) -> Value:
    """How many times longer we take."""
    return lambda row: row.times[row.ours[0]].ratio(row.times[name]) if name in row.samples else None


def microseconds(row: Row) -> float:
    return row.times[row.ours[0]].median


@dataclass(frozen=True)
class Goal:
    """A bound on a value of the rows of a table.

    Attributes
    ----------
    what : str
    title : str
        Of the table.
    value : callable
    bound : float
        The value is to be at least this, or at most if `most`.
    sizes, names : sequence of str
        Labels of the rows meant; empty: all.
    but : sequence of str
        Names of optimizers that are not meant.
    """

    what: str
    title: str
    value: Value
    bound: float
    sizes: Sequence[str] = ()
    names: Sequence[str] = ()
    but: Sequence[str] = ()
    most: bool = False

    def meant(self, row: Row) -> bool:
        size, name = row.label.get("parameters", ""), row.label.get("optimizer", "")
        return (
            (not self.sizes or size in self.sizes) and (not self.names or name in self.names) and name not in self.but
        )

    def _name(self, row: Row) -> str:
        """Of a row, with the size if it may have several."""
        shown = [row.label["optimizer"]] if "optimizer" in row.label else []
        shown += [f"at {row.label['parameters']}"] if len(self.sizes) > 1 or not shown else []
        return " ".join(shown)

    def told(self, rows: Sequence[Row]) -> str | None:
        """How many reach it, and who does not; None where it was not measured."""
        values = [(row, self.value(row)) for row in rows if self.meant(row)]
        found = [(row, value) for row, value in values if value is not None]
        if not found:
            return None
        short = [
            f"{self._name(row)} {value:.2f}"
            for row, value in sorted(found, key=lambda pair: pair[1])
            if (value > self.bound if self.most else value < self.bound)
        ]
        bound = f"at {'most' if self.most else 'least'} {self.bound:g}"
        rest = f"; not {', '.join(short)}" if short else ""
        return f"{self.what} {bound}: {len(found) - len(short)} of {len(found)}{rest}"


STEP, CACHED, MANY = "Optimizer step", "Optimizer step in cache", "Optimizer step of many arrays"
STAGED = "Clipping, decay and average in a step"
_10M, _50M = "10 000 000", "50 000 000"
_ADAM = ("Adam", "AdamW")
GOALS = (
    Goal("time of the bare loop over ours, from 10M on,", STEP, over("bare"), 0.95, sizes=(_10M, _50M)),
    Goal("torch fused / ours at 10M", STEP, over("torch fused"), 1.25, sizes=(_10M,), names=_ADAM),
    Goal("torch fused / ours at 10M", STEP, over("torch fused"), 1.15, sizes=(_10M,), names=("SGD", "AdaGrad")),
    Goal("torch fused / ours at 50M", STEP, over("torch fused"), 1.05, sizes=(_50M,), names=_ADAM),
    Goal("DeepSpeed / ours at 10M", STEP, over("DeepSpeed"), 1.15, sizes=(_10M,)),
    Goal("DeepSpeed / ours at 50M", STEP, over("DeepSpeed"), 1.05, sizes=(_50M,)),
    Goal("torch default / ours at 10M", STEP, over("torch default"), 4, sizes=(_10M,), but=("SGD",)),
    Goal("NumPy / ours at 10M", STEP, over("NumPy"), 10, sizes=(_10M,)),
    Goal("ours / -ffast-math at 100k", CACHED, under("-ffast-math"), 1.3, sizes=("100 000",), most=True),
    Goal("microseconds at 100", STEP, microseconds, 1.5, sizes=("100",), most=True),
    Goal("torch fused / ours at 100", STEP, over("torch fused"), 15, sizes=("100",)),
    Goal("NumPy / ours at 100", STEP, over("NumPy"), 1, sizes=("100",)),
    Goal("1000 arrays of 1000 / one of 1M", MANY, under("ours: one array"), 1.3, most=True),
    Goal("torch fused / ours for 1000 arrays", MANY, over("torch fused"), 5),
    Goal("torch foreach / ours for 1000 arrays", MANY, over("torch foreach"), 5),
    Goal("clipping, decay and average: ours / the bare loop", STAGED, under("bare"), 1.1, most=True),
    Goal("clipping, decay and average: torch / ours", STAGED, over("torch"), 2),
)


def summary(tables: Mapping[str, Sequence[Row]]) -> list[str]:
    """A line a goal that was measured. The rows are of one number of threads."""
    threads = next(iter(tables.values()))[0].threads
    lines = (goal.told(tables[goal.title]) for goal in GOALS if goal.title in tables)
    return [f"Goal, {threads} {'thread' if threads == 1 else 'threads'}: {line}." for line in lines if line]
