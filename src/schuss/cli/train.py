"""``schuss train``: a model from a table, with scores on rows that it has never seen."""

from __future__ import annotations

import shlex
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import schuss

from ..arguments import choice, integer, number
from ..tables import Columns, DataError, Schema, Table, TableModel, open_table
from ..tables.fitting import Fitted, Rows, Settings, fit
from ..tables.heads import Head
from ..tables.recipes import BY_NAME, Recipe
from . import checkpoints, output_files, report
from .app import app, told
from .evaluation import out_of_fold, predicted, scores_of
from .options import (
    AUTO,
    DEFAULT_RECIPE,
    DataArgument,
    TargetOption,
    TaskOption,
    check_fractions,
    class_weights,
    hidden_sizes,
    loss_of,
    metric_of,
    named,
    rate_of,
    recipe_with,
)
from .resume import Told
from .resume import load as resumed
from .rows import Split, split, split_by, weights_of
from .scores import Predicted, Scores, baseline_of_classes, baseline_of_numbers, confusion
from .terminal import TrainingProgress, say, show_cursor

if TYPE_CHECKING:
    from ..tables.folds import Fold

OF_MLP = "Of recipe mlp"


@app.command()
def train(
    data: DataArgument,
    target: TargetOption = None,
    task: TaskOption = None,
    recipe: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(BY_NAME)}.", show_default=DEFAULT_RECIPE)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--time", help="Seconds that training may take.", show_default="no limit")
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(help="Networks whose predictions are averaged.", show_default="5, fewer above 8000 rows"),
    ] = None,
    refit: Annotated[
        bool, typer.Option(help="Train again on validation rows, too, for as many epochs as were best.")
    ] = False,
    loss: Annotated[
        str | None,
        typer.Option(
            help="cross_entropy or focal; mse, mae, huber, quantile, poisson, gamma, tweedie or gaussian. "
            "With a number: quantile=0.1,0.5,0.9.",
            show_default="cross_entropy or mse",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="By which the best epoch is kept: error, balanced-accuracy, log-loss, auc; rmse, mae; loss.",
            show_default="error or rmse",
        ),
    ] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(
            help="balanced: each class weighs the same. Or weights by name: yes=3,no=1.", show_default="1 each"
        ),
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share of the rows that are used for the last score only.", show_default="0.2")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the others that finds the best epoch.", show_default="0.2")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.", show_default="by recipe")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.", show_default="by recipe")] = None,
    lr: Annotated[
        str | None, typer.Option(help="Learning rate; auto: found on these rows first.", show_default="by recipe")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides rows of each kind, initial parameters and order.", show_default="0")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the model at --save: from what it has learned, by its recipe; or from a --checkpoint.",
        ),
    ] = False,
    checkpoint: Annotated[
        float | None,
        typer.Option(
            help="Seconds after which, again and again, all networks are kept beside the model: after an interruption "
            "the same command with --resume goes on to the very same model.",
            show_default="never",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Same result for any number.", show_default="all")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Model file (.safetensors, .npz).", show_default="<data>.safetensors")
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Write no model.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Plot of the curves (.png, .pdf, .svg).", show_default="<data>.png")
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Write no plot.")] = False,
    hidden: Annotated[
        str | None, typer.Option(help="Units of the hidden layers; 0 for none.", rich_help_panel=OF_MLP)
    ] = None,
    activation: Annotated[str | None, typer.Option(help="Of the hidden layers.", rich_help_panel=OF_MLP)] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Of the hidden layers' outputs, in training.", rich_help_panel=OF_MLP)
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adagrad, rmsprop, adam, adamw, ...", rich_help_panel=OF_MLP)
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="At least 0.", rich_help_panel=OF_MLP)] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better one.", rich_help_panel=OF_MLP)
    ] = None,
) -> None:
    """Train a model on a table; write it, and a plot of its training.

    What each column is, is found out and stored with the model. Scores are of rows that training never sees.
    Ctrl-C ends the training early and keeps what it has.
    """
    with told():
        counts = {"--ensemble": ensemble, "--epochs": epochs, "--batch-size": batch_size, "--patience": patience}
        for option, count in counts.items():
            if count is not None:
                integer(option, count, 1)
        if seconds is not None:
            number("--time", seconds, "(0, inf)")
        if task is not None:
            choice("--task", task, ("classification", "regression"))
        if class_weight is not None:
            class_weights(class_weight)
        if checkpoint is not None:
            number("--checkpoint", checkpoint, "[0, inf)")
        if threads is not None:
            schuss.set_num_threads(integer("--threads", threads, 1))
        wanted = Told(
            0,
            0.2 if test is None else test,
            0.2 if validation is None else validation,
            0 if seed is None else integer("--seed", seed, 0, 2**31 - 1),
            refit,
            class_weight,
            loss,
            metric,
        )
        numbers = {
            "batch_size": batch_size,
            "lr": rate_of(lr),
            "hidden": None if hidden is None else hidden_sizes(hidden),
            "activation": activation,
            "dropout": dropout,
            "optimizer_name": optimizer,
            "weight_decay": weight_decay,
            "patience": patience,
        }
        check_fractions(wanted.test, wanted.validation)
        base = named(DEFAULT_RECIPE if recipe is None else recipe)
        if not resume:
            chosen = recipe_with(base, numbers)
        table = open_table(data)
        model_path, plot_path = output_files.of_training(table.name, save, no_save, plot, no_plot)
        start, exact = None, False
        unfinished = resume and model_path is not None and checkpoints.folder_of(model_path).is_dir()
        keeps = checkpoint is not None or unfinished
        if keeps:
            _check_keeping(model_path, seconds, resume and not unfinished)
            resume = False
            chosen = recipe_with(base, numbers)
        finds_rate = lr is not None and lr.strip() == AUTO
        if resume:
            if finds_rate:
                raise ValueError("--lr auto cannot be together with --resume: optimizers go on; give a number")
            fixed = {"--ensemble": ensemble, "--loss": loss, "--task": task, "--target": target,
                     "--test": test, "--validation": validation, "--seed": seed}  # fmt: skip
            for option, kept in fixed.items():
                if kept is not None:
                    raise ValueError(f"{option} cannot be together with --resume: the model's own is kept")
            start, before, base = resumed(model_path)
            if recipe not in (None, base.name):
                raise ValueError(f"--recipe {recipe} cannot go on from {model_path}, which is of recipe {base.name}")
            chosen = recipe_with(base, numbers)
            wanted = replace(
                before, refit=refit, class_weight=class_weight or before.class_weight, metric=metric or before.metric
            )
            exact = (
                not (wanted.validation or refit)
                and (chosen, wanted.class_weight, wanted.metric) == (base, before.class_weight, before.metric)
                and all(network.optimizer is not None for network in start.networks)
            )
            rows = split_by(table, start.target, wanted.test, wanted.validation, wanted.seed, table.notes)
        else:
            rows = split(table, target, task, wanted.test, wanted.validation, wanted.seed)  # type: ignore[arg-type]
        table_name = table.name
        del table
        settings = Settings(
            chosen,
            loss_of(wanted.loss, bool(rows.target.classes)),
            metric_of(wanted.metric, bool(rows.target.classes)),
            epochs=epochs,
            time_limit=seconds,
            members=len(start.networks) if start is not None else ensemble or chosen.networks(len(rows.training.y)),
            refit=refit,
            fraction=wanted.validation,
            seed=wanted.seed,
            start=start,
            finds_rate=finds_rate,
            resumable=not (wanted.validation or refit) and (exact or start is None),
            recovers=True,
        )
        n_rows = rows.n_rows
        keeper: checkpoints.Checkpoints | None = None
        if keeps and model_path is not None:
            all_told = {
                "data": table_name, "sum of the data": checkpoints.sum_of(data), "rows": n_rows,
                "target": rows.target.name, "recipe": chosen.to_dict(), "epochs": epochs, "ensemble": settings.members,
                **{name: value for name, value in vars(wanted).items() if name != "rows"},
            }  # fmt: skip
            if unfinished:
                keeper = checkpoints.gone_on(model_path, checkpoint, all_told)
            else:
                keeper = checkpoints.begun(model_path, checkpoint or 0.0, all_told)
            settings = replace(settings, further=keeper.arguments)
        run = Run(weighted(proposed(rows, wanted.loss), wanted.class_weight), settings)
        del rows  # with the cells, once they are read
        if keeper is not None and unfinished:
            run.notes = (f"goes on from {keeper.folder}, to the model of a training that was never interrupted",)
        if resume:
            run.notes = report.resumed_notes(str(model_path), exact, wanted.rows, n_rows)
        run.train()
        run.tell_scores()
        if model_path:
            refitted = run.fitted.model is not run.fitted.before
            replace(wanted, rows=n_rows, refit=refitted).within(run.fitted.model).save(model_path)
            say(f"wrote {model_path}")
            say(f"  in the shell:  schuss predict {shlex.quote(str(model_path))} DATA")
            say(f'  in Python:     schuss.load_table("{model_path.as_posix()}").predict(DATA_FRAME)')
            if keeper is not None and run.fitted.interrupted:
                say(f"kept {keeper.folder}: the same command with --resume goes on")
            else:
                checkpoints.remove(model_path)
        if plot_path and len(run.fitted.histories[0]):
            output_files.save_figure(run.fitted.histories[0].plot(), plot_path)
            say(f"wrote {plot_path}")
    if run.fitted.interrupted:
        raise typer.Exit(130)


def _check_keeping(model: Path | None, seconds: float | None, over: bool) -> None:
    """DataError if checkpoints cannot be kept, or there is nothing to go on with, since the training is over."""
    if model is None:
        raise DataError("--checkpoint cannot be together with --no-save: checkpoints stand beside the model")
    if seconds is not None:
        raise DataError("--checkpoint cannot be together with --time: by the clock, no two trainings are the same")
    if over and model.exists():
        raise DataError(
            f"{model}: its training is over, there is no checkpoint; --resume without --checkpoint goes on from it"
        )


def weighted(rows: Split, class_weight: str | None) -> Split:
    """The rows with weights by --class-weight. ValueError: a quantity is predicted, or a class is not known."""
    if class_weight is None:
        return rows
    if not rows.target.classes:
        raise ValueError(f"--class-weight {class_weight} is for classes; {rows.target.name!r} is a quantity")
    weights = weights_of(rows.training.y, rows.target.classes, class_weights(class_weight))
    return replace(rows, training=replace(rows.training, weights=weights))


def proposed(rows: Split, loss: str | None) -> Split:
    """The rows with a note that names the option for counts, if none was given, in place of the target's own."""
    if not rows.target.counts:
        return rows
    notes = tuple(note for note in rows.notes if "Poisson" not in note)
    if loss is None:
        notes += (f"{rows.target.name!r} holds counts: --loss poisson may fit better",)
    return replace(rows, notes=notes)


def read_up(rows: Rows) -> Rows:
    """The rows without cells, which take the most memory."""
    return replace(rows, table=Table(rows.table.name, {}, 0))


class Run:
    """A training that is told as it goes."""

    fitted: Fitted

    def __init__(self, rows: Split, settings: Settings) -> None:
        self.rows, self.settings = rows, settings
        self.notes: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._parts: Sequence[Fold] = ()
        self._columns: Columns | None = None
        self._of_test: Columns | None = None
        self._seconds = 0.0

    def train(self) -> None:
        """Fit, with a bar or lines that show how far it is."""
        settings = self.settings
        report.headline(self.rows.name, self.rows.n_rows, self.rows.target)
        self._tell((*self.rows.notes, *self.notes))
        epochs = settings.epochs or settings.recipe.epochs
        progress = TrainingProgress(epochs, settings.members, 2 if settings.refit else 1)
        with warnings.catch_warnings(), progress:
            warnings.filterwarnings("ignore", "Training interrupted by user")

            def started(schema: Schema, head: Head, notes: Sequence[str], read: Any, parts: Sequence[Fold]) -> None:
                self._columns, self._parts = read[0], parts
                if self.rows.test is not None and not settings.refit:
                    self._of_test = schema.read(self.rows.test.table)
                    self.rows = replace(self.rows, test=read_up(self.rows.test))
                progress.unit = 1.0 if head.standard is None else float(head.standard.deviations[0])
                self._tell_columns(schema, notes)
                progress.start()

            def after_epoch(record: Any, model: Callable[[], TableModel]) -> bool:
                progress(record)
                return False

            start = time.perf_counter()
            settings = replace(settings, on_start=started, on_epoch=after_epoch)
            self.fitted = fit(self._training(), None, self.rows.target, settings)
            self._seconds = time.perf_counter() - start
        self._parts = self.fitted.parts
        show_cursor()  # an interrupt may have come while the bar was being taken away
        self._tell(self.fitted.notes)

    def _training(self) -> Rows:
        """The rows to train on. Their cells are kept only where a refit, whose columns are decided anew, is scored."""
        rows = self.rows.training
        if not self.settings.refit:
            self.rows = replace(self.rows, training=read_up(rows))
        return rows

    def _tell(self, notes: Sequence[str]) -> None:
        """What has not been told yet."""
        report.tell(note for note in dict.fromkeys(notes) if note not in self._told)
        self._told.update(notes)

    def _tell_columns(self, schema: Schema, notes: Sequence[str]) -> None:
        report.columns_of(schema)
        self._tell(notes)
        settings, rows = self.settings, self.rows
        train, held = (len(part) for part in self._parts[0])
        of_test = f", {len(rows.test.y):,} test" if rows.test else ""
        each = f"{settings.members} networks, each with " if settings.members > 1 else ""
        say(
            f"recipe {settings.recipe.name}: {each}{train:,} rows that train, {held:,} validate{of_test}; "
            f"seed {settings.seed}"
        )
        if held:
            validate = rows.training.y[self._parts[0][1]]
            for line in report.few_validate(validate, rows.target, settings.members, settings.refit):
                say(f"  {line}", style="yellow")

    def tell_scores(self) -> None:
        """The table of scores, the confusion matrix, and how it came about."""
        fitted, rows = self.fitted, self.rows
        done = [len(history) for history in fitted.histories]
        if fitted.interrupted:
            finished = all(history.stopped != "interrupted" for history in fitted.histories)
            where = "the refit; the model from before it is kept" if finished else f"epoch {done[-1] + 1}; going on"
            say(f"stopped by Ctrl-C in {where}{'' if finished else ' with what there is'}", style="yellow")
        for history in fitted.histories:
            if history.stopped == "early_stopping":
                patience = self.settings.recipe.patience
                say(f"stopped after epoch {len(history)}: no better one for {patience} epochs")
        scores, last = self._scores()
        report.show_scores(scores)
        training = rows.training.y
        say(report.baseline_note(training, rows.target, next(iter(scores.values()))), style="dim")
        if rows.target.classes and last is not None:
            which, found = last
            matrix = confusion(found.values, found.y)
            report.show_confusion(matrix, rows.target.classes, f"the {len(found.y):,} {which} rows")
        self._tell_effort(done)

    def _scores(self) -> tuple[dict[str, Scores], tuple[str, Predicted] | None]:
        """A column of scores for each part of the rows; and what is said of the last of them."""
        fitted, rows, columns = self.fitted, self.rows, self._columns
        assert columns is not None
        model, loss, training = fitted.model, fitted.model.head.loss, rows.training
        again = model is not fitted.before
        alone = len(self._parts) == 1 and not again
        seen = self._parts[0][0] if alone else np.arange(len(training.y))
        of_model = model.schema.read(training.table) if again else columns
        found = {"training": predicted(model, of_model, training.y, seen)}
        held = out_of_fold(fitted.before, columns, training.y, self._parts)
        if held is not None:
            found["validation"] = held
        if rows.test is not None:
            of_test = self._of_test or model.schema.read(rows.test.table)
            self._tell([f"test rows: {note}" for note in of_test.notes])
            found["test"] = predicted(model, of_test, rows.test.y)
        scores = {part: scores_of(one, rows.target, loss) for part, one in found.items()}
        last = next(reversed(found))
        if rows.target.classes:
            scores["baseline"] = baseline_of_classes(training.y, len(rows.target.classes), found[last].y)
        else:
            scores["baseline"] = baseline_of_numbers(training.y, found[last].y, loss)
        return scores, (last, found[last]) if last != "training" else None

    def _tell_effort(self, done: Sequence[int]) -> None:
        fitted, recipe = self.fitted, self.settings.recipe
        best = ", ".join(map(str, fitted.best_epochs))
        epochs = ", ".join(map(str, dict.fromkeys(done)))
        several = "s" if len(done) > 1 else ""
        text = f"best epoch{several} {best} of {epochs}, kept" if self.settings.fraction else f"{epochs} epochs"
        steps = steps_of(recipe, self._parts, done, fitted.best_epochs, self.settings.refit, len(self.rows.training.y))
        parameters = sum(network.n_parameters for network in fitted.model.networks)
        say(f"{text}; {self._seconds:.2f} s, {steps / self._seconds:,.0f} steps a second; {parameters:,} parameters")


def steps_of(
    recipe: Recipe, parts: Sequence[Fold], done: Sequence[int], best: Sequence[int], refit: bool, rows: int
) -> int:
    """How many steps all trainings had."""

    def of_epoch(n: int) -> int:
        batch = min(recipe.batch_size, n)
        return n // batch if recipe.drop_last else -(-n // batch)

    steps = sum(of_epoch(len(train)) * n for (train, _), n in zip(parts, done, strict=False))
    return steps + (of_epoch(rows) * round(sum(best) / len(best)) * len(done) if refit else 0)
