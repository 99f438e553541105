"""The command line: ``schuss train``, ``schuss predict``, ``schuss info``.

Wrong input and files end with one line on stderr and exit code 2, a training that diverges with 1, Ctrl-C with 130.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

try:
    import typer

    from .terminal import TrainingProgress, say, show_cursor, show_table
except ModuleNotFoundError as error:
    if error.name not in ("typer", "rich"):
        raise
    raise SystemExit(f"schuss: the command line needs {error.name}: pip install 'schuss[cli]'") from None

from numpy.typing import NDArray

import schuss

from . import output_files
from .arguments import choice, integer, number
from .datasets import NAMES, DataError, Table, open_table
from .errors import DivergenceError
from .optim import by_name
from .preprocessing import Preprocessing, Target, known_rows, prepare, some

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

# Where an optimizer's own default is not a good guess for a small dense network.
LEARNING_RATES = {"sgd": 0.05, "rmsprop": 1e-3}
METADATA_KEY = "table"  # where the model's metadata hold what `predict` needs
PREVIEW_ROWS = 5


def main() -> None:
    """Entry point of the ``schuss`` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a column's name may not exist in the terminal's encoding
    app(prog_name="schuss")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors that the user can mend become one line and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read stdout has enough; typer ends quietly
    except (ValueError, TypeError, OSError, MemoryError) as error:
        message, code = str(error), 2
    except DivergenceError as error:
        message, code = str(error), 1
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    else:
        return
    typer.echo(f"schuss: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"schuss {schuss.__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train dense networks on tables, in compiled code."""


@app.command()
def info() -> None:
    """Print the configuration: version, instruction set, threads, compiler."""
    with told():
        schuss.show_config()


# ---- train --------------------------------------------------------------------------------------------------------


@app.command()
def train(
    data: Annotated[str, typer.Argument(help=f"A CSV or Parquet file, or one of {', '.join(NAMES)}.")],
    target: Annotated[
        str | None, typer.Option(help="Column to predict.", show_default="target, label, class, y, or the last")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="classification or regression.", show_default="found out from the target")
    ] = None,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers; 0 for none.")] = "100,50",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "relu",
    dropout: Annotated[float, typer.Option(help="Of the hidden layers' outputs, in training.")] = 0.2,
    optimizer: Annotated[str, typer.Option(help="sgd, adagrad, rmsprop, adam or adamw.")] = "adam",
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default="by optimizer")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="At least 0.", show_default="by optimizer")] = None,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 200,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows a step.", show_default="32, more for large tables")
    ] = None,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better validation loss.")] = 20,
    validation: Annotated[float, typer.Option(help="Fraction of the rows that validate.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Decides split, initial parameters and order of the rows.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Same result for any number.", show_default="all")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Model file (.safetensors, .npz).", show_default="<data>.safetensors")
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Write no model.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Plot of the curves (.png, .pdf, .svg).", show_default="<data>.png")
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Write no plot.")] = False,
) -> None:
    """Train a network on a table; write the model and a plot of its training.

    The best parameters by validation loss are kept. Ctrl-C ends the training early and keeps what it has.
    """
    with told():
        integer("--epochs", epochs, 1)
        integer("--patience", patience, 1)
        integer("--seed", seed, 0, 2**63 - 1)
        number("--validation", validation, "[0, 1)")
        if batch_size is not None:
            integer("--batch-size", batch_size, 1)
        if task is not None:
            choice("--task", task, ("classification", "regression"))
        if threads is not None:
            schuss.set_num_threads(integer("--threads", threads, 1))
        sizes = hidden_sizes(hidden)
        make_optimizer = by_name(optimizer)

        table = open_table(data)
        model_path, plot_path = output_files.of_training(table.name, save, no_save, plot, no_plot)
        ready = prepare(table, target, task, validation, seed)  # type: ignore[arg-type]
        predicted = ready.preprocessing.target
        x, y = ready.training

        widths = [x.shape[1], *sizes, predicted.n_outputs]
        layers = [
            schuss.Dense(n_in, n_out, activation, dropout=dropout) for n_in, n_out in itertools.pairwise(widths[:-1])
        ]
        layers.append(schuss.Dense(widths[-2], widths[-1], "softmax" if predicted.classes else "identity"))
        net = schuss.Network(layers, seed=seed)
        options: dict[str, Any] = dict(make_optimizer._of_network)
        if lr is not None or optimizer in LEARNING_RATES:
            options["lr"] = lr if lr is not None else LEARNING_RATES[optimizer]
        if weight_decay is not None:
            options["weight_decay"] = weight_decay
        stepper = make_optimizer(net.parameters, **options)
        batch = min(batch_size or default_batch_size(len(x)), len(x))

        what = f"{len(predicted.classes)} classes: {some(predicted.classes)}" if predicted.classes else "a quantity"
        say(f"{table.name}: {ready.n_rows} rows; target {predicted.name!r}: {predicted.task}, {what}")
        for note in ready.notes:
            say(f"  {note}", style="dim")
        say(
            f"network {' -> '.join(map(str, widths))}; {len(x)} rows train, {ready.n_validation} validate; "
            f"{optimizer}, batches of {batch}, seed {seed}"
        )

        start = time.perf_counter()
        with contextlib.suppress(KeyboardInterrupt), TrainingProgress(epochs) as progress:  # history.stopped tells
            net.fit(
                x, y, loss=predicted.loss, optimizer=stepper, epochs=epochs, batch_size=batch,
                validation_data=ready.validation, metrics=predicted.metric,
                early_stopping=patience if ready.validation else None, callbacks=[progress],
            )  # fmt: skip
        show_cursor()  # an interrupt may have come while the bar was being taken away
        seconds = time.perf_counter() - start

        history = net.history
        interrupted = history.stopped in (None, "interrupted")  # None: before fit got going
        done = len(history)
        if interrupted:
            say(f"stopped by Ctrl-C in epoch {done + 1}; going on with what there is", style="yellow")
        elif history.stopped == "early_stopping":
            say(f"stopped after epoch {done}: no better validation loss for {patience} epochs")
        scores = {"training": net.evaluate(x, y, predicted.loss, predicted.metric)}
        if ready.validation:
            scores["validation"] = net.evaluate(*ready.validation, predicted.loss, predicted.metric)
        show_table(["", *scores], score_rows(scores, predicted))
        result = f"best epoch {history.best_epoch} of {done}, kept" if ready.validation and done else f"{done} epochs"
        steps = done * -(-len(x) // batch)
        say(f"{result}; {seconds:.2f} s, {steps / seconds:,.0f} steps a second; {net.n_parameters:,} parameters")

        if model_path:
            net.save(model_path, metadata={METADATA_KEY: ready.preprocessing.to_dict()})
            say(f"wrote {model_path}; use it with: schuss predict {model_path} DATA")
        if plot_path and done:
            output_files.save_figure(history.plot(), plot_path)
            say(f"wrote {plot_path}")
    if interrupted:
        raise typer.Exit(130)


def hidden_sizes(text: str) -> list[int]:
    """What --hidden says: 100,50 is [100, 50]; 0 or nothing is []."""
    if text.strip() in ("", "0"):
        return []
    try:
        return [integer("--hidden", int(part), 1) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--hidden must be units such as 100,50, or 0 for none; got {text!r}") from None


def default_batch_size(rows: int) -> int:
    """32; in large tables more, for about 500 steps an epoch, up to 512."""
    return min(512, max(32, 1 << (rows // 500).bit_length() - 1 if rows >= 500 else 32))


def score_rows(scores: dict[str, dict[str, float]], target: Target) -> Iterator[list[str]]:
    """Of the table of results: loss, and accuracy or R2 with the root mean squared error in the target's units."""
    yield [target.loss.replace("_", "-"), *(f"{score['loss']:.4f}" for score in scores.values())]
    if target.classes:
        yield ["accuracy", *(f"{score['accuracy']:.2%}" for score in scores.values())]
    else:
        yield ["R2", *(f"{score['r2']:.4f}" for score in scores.values())]
        yield [f"RMSE of {target.name}", *(f"{score['loss'] ** 0.5 * target.scale:.4g}" for score in scores.values())]


# ---- predict ------------------------------------------------------------------------------------------------------


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file that schuss train wrote.")],
    data: Annotated[str, typer.Argument(help="A CSV or Parquet file with the raw columns, or a data set's name.")],
    out: Annotated[Path | None, typer.Option(help="CSV file for the predictions; - for stdout.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Write those of all classes, too.")] = False,
) -> None:
    """Predict a table's rows. If the target's column is there, the predictions are scored."""
    with told():
        to_stdout = out == Path("-")
        if out and not to_stdout:
            output_files.check(out, "--out", [".csv"])
            if out.exists() and not out.read_bytes().startswith(b"prediction"):
                raise output_files.not_ours(out, "--out")
        net, preprocessing = load_model(model)
        target = preprocessing.target
        if probabilities and not target.classes:
            raise DataError(f"{model}: predicts a quantity, {target.name!r}; --probabilities is for classes")
        table = open_table(data, text=preprocessing.text_columns)
        output = net.predict(preprocessing.transform(table))
        predicted = target.decode(output)

        if out:
            header = ["prediction", *(f"probability_{name}" for name in target.classes if probabilities)]
            columns = [predicted, *(output.T if probabilities else ())]
            if to_stdout:
                write_csv(sys.stdout, header, columns)
                return
            with open(out, "w", newline="", encoding="utf-8") as file:
                write_csv(file, header, columns)
        for note in table.notes:
            say(f"  {note}", style="dim")
        preview(table, target, predicted, output)
        score(net, preprocessing, table)
        say(f"wrote {len(predicted)} predictions to {out}" if out else "write them all with --out predictions.csv")


def load_model(path: Path) -> tuple[schuss.Network, Preprocessing]:
    """The network and its table's preprocessing."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    net = schuss.load(path)
    if METADATA_KEY not in net.metadata:
        raise DataError(f"{path}: was not written by schuss train: it does not say how to read a table")
    preprocessing = Preprocessing.from_dict(net.metadata[METADATA_KEY])
    if (net.n_in, net.n_out) != (preprocessing.n_inputs, preprocessing.target.n_outputs):
        raise DataError(f"{path}: is damaged: its table does not fit its network of {net.n_in} inputs")
    return net, preprocessing


def write_csv(file: TextIO, header: list[str], columns: list[NDArray[Any]]) -> None:
    """Columns side by side; real numbers with the digits that float32 has."""
    texts = [[f"{v:.9g}" if isinstance(v, float) else v for v in column.tolist()] for column in columns]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*texts, strict=True))


def preview(table: Table, target: Target, predicted: NDArray[Any], output: NDArray[Any]) -> None:
    """The first predictions, with their probability, beside the true values if there are any."""
    truth = table.columns.get(target.name)
    header = ["row", "prediction"]
    header += ["probability"] if target.classes else []
    header += [target.name] if truth is not None else []
    rows = []
    for row in range(min(PREVIEW_ROWS, len(predicted))):
        cells = [str(row + 1), shown(predicted[row])]
        if target.classes:
            cells.append(f"{output[row].max():.3f}")
        if truth is not None:
            cells.append(shown(truth[row]))
        rows.append(cells)
    show_table(header, rows)
    if len(predicted) > len(rows):
        say(f"... {len(predicted)} rows in all")


def shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def score(net: schuss.Network, preprocessing: Preprocessing, table: Table) -> None:
    """Print how good the predictions are, if the table says what is right."""
    target = preprocessing.target
    if target.name not in table.columns:
        return
    try:
        known = known_rows(table, target.name)
        y = target.encode(known)
    except DataError as error:
        say(f"not scored: {error}")
        return
    scores = {"score": net.evaluate(preprocessing.transform(known), y, target.loss, target.metric)}
    say(f"against {target.name!r} in {len(y)} rows:")
    show_table(["", *scores], score_rows(scores, target))
