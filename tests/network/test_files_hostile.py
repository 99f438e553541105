"""What a file says is checked before it is believed: every field, every size, every entry."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.files import npz, tensors
from schuss.files.header import MOST_EPOCHS, MOST_NESTED, MOST_SCHEDULE_PARTS, SCHEMA, SCHEMA_OF_OPTIMIZER
from schuss.files.versions import VERSION
from schuss.optim.state import MOST_STEPS
from tests.network.file_cases import ENDINGS, fitted, outcome, rewritten, used

# ---- the header ------------------------------------------------------------------------------------------------------

NOT_A_NUMBER: list[Any] = ["3", None, [], {}, [3], True, 1.5, float("nan"), float("inf"), -1, -(2**70)]
COUNT = [*NOT_A_NUMBER, 2**64, 10**400]
NOT_A_LIST: list[Any] = [None, 3, "text", {}, True, float("nan")]
NOT_A_DICT: list[Any] = [3, "text", [], True, float("nan"), -1]
NOT_TEXT: list[Any] = [None, 3, [], {}, True, float("nan")]
DEEP: Any = []
for _ in range(150):
    DEEP = [DEEP]
DEEP_LAYERS: Any = {"kind": "dense", "n_in": 5, "n_out": 5}
for _ in range(MOST_NESTED + 1):
    DEEP_LAYERS = {"kind": "residual", "layers": [DEEP_LAYERS]}

# Path to a field, and values that it must not have.
BAD: list[tuple[tuple[Any, ...], list[Any]]] = [
    (("format",), [*NOT_TEXT, "another"]),
    (("version",), ["3", None, [], True, 1.5, float("nan"), 0, -1, VERSION + 1, 2**64]),
    (("layers",), [*NOT_A_LIST, [], [3], [None], [[]], [{}], [{"kind": 5}], [{"kind": []}], [DEEP_LAYERS]]),
    (("layers", 0), [*NOT_A_DICT, {"kind": "input"}, {"kind": "dense", "n_in": 4, "n_out": 5, "self": 1}]),
    (("layers", 0, "kind"), [*NOT_TEXT, "nonesuch", "residual"]),
    (("layers", 0, "n_in"), [*COUNT, 0, 3, 5, 2**40, 2**63]),
    (("layers", 0, "n_out"), [*COUNT, 0, 4, 6, 2**40, 2**62, 2**63 - 1]),
    (("layers", 0, "activation"), [*NOT_TEXT, "nonesuch", "softmax"]),
    (("layers", 0, "bias"), [None, 1, 0, "true", [], False]),
    (("layers", 0, "init"), [3, [], {}, "nonesuch"]),
    (("layers", 0, "dropout"), ["0.5", None, [], True, 1.0, -0.1, float("nan"), float("inf")]),
    (("layers", 0, "alpha"), ["0.5", [], 1.0, float("nan")]),
    (("layers", 1, "momentum"), ["0.5", None, [], True, float("nan"), -1.0, 2.0]),
    (("layers", 1, "eps"), ["0.5", None, [], True, float("nan"), -1.0, float("inf")]),
    (("layers", 2, "layers"), [*NOT_A_LIST, [], [3], [{}], DEEP]),
    (("layers", 2, "branches"), [[], 3]),
    (("dtype",), [*NOT_TEXT, "O", "float16", "float64", ">f4", "<f4"]),
    (("seed",), COUNT),
    (("draws",), COUNT),
    (("epochs_done",), [*COUNT, MOST_EPOCHS + 1]),
    (("metadata",), [*NOT_A_DICT, None]),
    (("optimizer",), [3, "adam", [], True, {}]),
    (("optimizer", "kind"), [*NOT_TEXT, "nonesuch", "Adam", "lbfgs", "sgd", "soap"]),
    (("optimizer", "steps"), [*COUNT, 2**53, 2**63, 2**63 - 1]),
    (("optimizer", "groups"), [*NOT_A_LIST, [], [3], [{}], [None], [[]]]),
    (("optimizer", "groups", 0, "params"), [*NOT_A_LIST, [], [0], [0, 0], [-1], [99], [None], ["0"], [0.0], [True]]),
    (("optimizer", "groups", 0, "lr"), ["1", None, [], True, -1.0, float("nan"), float("inf")]),
    (("optimizer", "groups", 0, "betas"), [None, 3, "ab", [], [0.9], [0.9, 1.5], [0.9, float("nan")], [True, 0.9]]),
    (("optimizer", "groups", 0, "eps"), ["1", None, [], True, -1.0, float("nan")]),
    (("optimizer", "groups", 0, "weight_decay"), ["1", None, [], True, -1.0, float("nan")]),
    (("optimizer", "groups", 0, "amsgrad"), ["1", None, [], 1, True]),
    (("optimizer", "groups", 0, "maximize"), ["1", None, [], 1]),
    (("optimizer", "groups", 0, "schedule"), [None, 3]),
    (("optimizer", "groups", 0, "rule"), ["sgd"]),
    (("optimizer", "groups", 0, "nonesuch"), [3]),
    (("optimizer", "order"), [*NOT_A_LIST, [], [0], [1] * 8, [-1] * 8, [None] * 8, [0.0] * 8]),
    (("optimizer", "memories"), [3, "text", True, [[]], [["0"] * 14]]),
    (("optimizer", "precision"), [*NOT_A_DICT, None, {}, {"states": "8bit"},
        {"states": "bfloat16", "master": None, "rounding": "nearest", "seed": 0},
        {"states": "float32", "master": "split", "rounding": "nearest", "seed": 0},
        {"states": "float32", "master": None, "rounding": "nearest", "seed": 2**64}]),
    (("optimizer", "clocks"), [*NOT_A_DICT, None, {}, {"of": [0] * 8}, {"behind": [0]}, {"of": [0] * 7, "behind": [0]},
                               {"of": [0] * 8, "behind": []}, {"of": [0] * 8, "behind": [2**50]},
                               {"of": [0] * 8, "behind": [-1]}, {"of": [0] * 8, "behind": ["0"]},
                               {"of": [0] * 8, "behind": [0, 1]}, {"of": [1] * 8, "behind": [0, 1]},
                               {"of": [2, *[0] * 7], "behind": [0, 1]}, {"of": [-1, *[0] * 7], "behind": [0, 1]},
                               {"of": [0] * 8, "behind": [0] * 99}, {"of": [0] * 8, "behind": [0], "more": 1}]),
    (("optimizer", "own"), [*NOT_A_LIST, None, [3], [], [{}, {}, {}], [{"lr": 0.1}], [{"params": [0]}],
                            [{"rule": "sgd"}], [{"schedule": 3}]]),
    (("optimizer", "form"), [None, 3, [], {}, {"kind": "nonesuch"}, {"kind": "list"}, {"kind": "list", "size": 3},
                             {"kind": "list", "size": 2**60}, {"kind": "array"}, {"kind": "dict", "names": ["a"]},
                             {"kind": "dict", "names": ["a"] * 8}, {"kind": "dict", "names": [1] * 8},
                             {"kind": "list", "size": 8, "prefix": 5}, {"kind": "groups", "parts": []},
                             {"kind": "groups", "parts": [3]},
                             {"kind": "groups", "parts": [{"kind": "groups", "parts": [{"kind": "array"}]}]}]),
    (("optimizer", "schedules"), [*NOT_A_LIST, [], [3], [{}], [{"kind": "Cosine"}],
                                  [{"kind": "eval", "arguments": {}}], [{"kind": "Schedule", "arguments": {}}],
                                  [{"kind": "Lambda", "arguments": {"function": "print"}}]]),
    (("optimizer", "schedules", 0, "kind"), [*NOT_TEXT, "Nonesuch", "PlateauState", "schedules"]),
    (("optimizer", "schedules", 0, "arguments"), [*NOT_A_DICT, {"lr": float("nan")}, {"nonesuch": 1}]),
    (("optimizer", "schedules", 0, "state"), [*NOT_A_DICT, {}]),
    (("optimizer", "schedules", 0, "state", "lr"), [None, "1", -1.0, float("nan"), float("inf")]),
    (("optimizer", "schedules", 0, "state", "bad"), NOT_A_NUMBER),
    (("optimizer", "schedules", 1, "arguments", "steps"), NOT_A_NUMBER),
    (("optimizer", "schedules", 1, "arguments", "then"), [None, "1", {}, {"schedule": 1}, {"schedule": -1},
                                                          {"schedule": 99}, {"schedule": "0"}, {"schedule": True}]),
    (("optimizer", "decay_places"), [*NOT_A_LIST, [], [99], [-1], ["0"], [True], [0, 0]]),
    (("optimizer", "scheduled"), [*NOT_A_LIST, [], [99], [-1], ["0"], [True], [0, 0]]),
    (("optimizer", "averages"), [*NOT_A_LIST, [], [3], [{}]]),
    (("optimizer", "averages", 0, "kind"), [*NOT_TEXT, "nonesuch"]),
    (("optimizer", "averages", 0, "start"), [*COUNT, 0]),
    (("optimizer", "averages", 0, "every"), [*COUNT, 0]),
    (("optimizer", "averages", 0, "weight"), ["1", None, [], True, -1.0, 1.5, float("nan")]),
    (("optimizer", "wrappers"), [*NOT_A_LIST, [3], [{}]]),
    (("optimizer", "wrappers", 0, "kind"), [*NOT_TEXT, "nonesuch", "Network", "SAM", "Accumulate"]),
    (("optimizer", "wrappers", 0, "numbers"), [*NOT_A_DICT, {}, {"_number": 0, "more": 1}, {"optimizer": 0}]),
    (("optimizer", "wrappers", 0, "numbers", "_number"), [*COUNT, 2]),
    (("optimizer", "wrappers", 0, "arrays"), [*NOT_A_DICT, {"sums": 8}, {"before": 0}]),
    (("history",), [*NOT_A_DICT, None, {}]),
    (("history", "names"), [*NOT_A_LIST, [], ["loss"], ["loss", "loss"], [3, 4], [["loss"], "val_loss"]]),
    (("history", "stopped"), [3, [], {}, True, "nonesuch"]),
    (("history", "monitor"), [3, "loss", [], ["loss"], ["loss", 1], [3, True], ["loss", True, 1]]),
    (("others",), [*NOT_A_LIST, [3], [{}], [None], [[]]]),
    (("stopping",), [3, "x", [], True, {}, {"value": 1.0, "waited": 0, "restores": True},
                     {"value": None, "waited": 0, "restores": False}, {"value": 1.0, "waited": -1, "restores": False},
                     {"value": 1.0, "waited": 0, "restores": False, "nonesuch": 1}]),
    (("nonesuch",), [1]),
    (("optimizer", "nonesuch"), [1]),
    (("history", "nonesuch"), [1]),
]  # fmt: skip
ABSENT = [("format",), ("version",), ("layers",), ("dtype",), ("seed",), ("draws",), ("epochs_done",), ("optimizer",),
          ("history",), ("metadata",), ("optimizer", "kind"), ("optimizer", "steps"), ("optimizer", "groups"),
          ("optimizer", "groups", 0, "params"), ("history", "names"), ("history", "stopped")]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a file of each kind."""
    folder, net = tmp_path_factory.mktemp("saved"), fitted()
    found = {}
    for ending in ENDINGS:
        net.save(folder / f"net{ending}")
        found[ending] = (folder / f"net{ending}").read_bytes()
    return found


def changed(header: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        header = header[key]
    header[path[-1]] = value


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("field", "values"), BAD, ids=[".".join(map(str, field)) for field, _ in BAD])
def test_a_field_that_is_wrong(
    saved: dict[str, bytes], tmp_path: Path, ending: str, field: tuple[Any, ...], values: list[Any]
) -> None:
    path = tmp_path / f"net{ending}"
    for value in values:
        path.write_bytes(saved[ending])
        rewritten(path, lambda header, content, value=value: changed(header, field, value))
        assert outcome(path, tmp_path / f"again{ending}") == "refused", (field, value)


def test_every_field_of_the_header_is_tried() -> None:
    tried = {field[0] for field, _ in BAD if len(field) == 1}
    of_optimizer = {field[1] for field, _ in BAD if field[0] == "optimizer" and len(field) == 2}
    assert tried >= set(SCHEMA) - {"checksums"} and of_optimizer >= set(SCHEMA_OF_OPTIMIZER)


@pytest.mark.parametrize("field", ABSENT, ids=[".".join(map(str, field)) for field in ABSENT])
def test_a_field_that_is_missing(saved: dict[str, bytes], tmp_path: Path, field: tuple[Any, ...]) -> None:
    def change(header: Any, content: Any) -> None:
        for key in field[:-1]:
            header = header[key]
        del header[field[-1]]

    path = tmp_path / "net.npz"
    path.write_bytes(saved[".npz"])
    rewritten(path, change)
    assert outcome(path, tmp_path / "again.npz") == "refused"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("epochs_done",), MOST_EPOCHS),
        (("optimizer", "steps"), MOST_STEPS),
        (("draws",), 2**64 - 1),
        (("seed",), 2**64 - 1),
    ],
)
def test_the_largest_counts(saved: dict[str, bytes], tmp_path: Path, field: tuple[Any, ...], value: int) -> None:
    """They are loaded, training goes on, and what has passed the end is not written."""
    path = tmp_path / "net.npz"
    path.write_bytes(saved[".npz"])
    rewritten(path, lambda header, content: changed(header, field, value))
    assert outcome(path, tmp_path / "again.npz") == "loaded"
    assert (tmp_path / "again.npz").exists() == (field in (("draws",), ("seed",)))


def with_text(path: Path, text: str) -> None:
    """Another header, with a checksum that fits."""
    from schuss.files.containers import container

    encode, decode = container(str(path))
    content, _, _ = decode(str(path), path.read_bytes())
    path.write_bytes(encode(content, text))


@pytest.mark.parametrize("ending", ENDINGS)
def test_headers_that_are_no_header(saved: dict[str, bytes], tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"net{ending}"
    deep = 100_000
    start = '{"format": "schuss network", "version": '
    for text in (
        *("", "{", "null", "3", '"text"', "[]", "{}", "NaN", "\u00e9", '{"format": "\\ud800"}'),
        *("[" * deep, '{"a":' * deep, "9" * 10_000),
        start + "9" * 10_000 + "}",
        start + '3, "metadata": ' + "[" * deep + "]" * deep + "}",
    ):
        path.write_bytes(saved[ending])
        with_text(path, text)
        assert outcome(path, tmp_path / "again.npz") == "refused", text[:40]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"parameters.0": "1"}, {"parameters.0": None}])
def test_checksums_that_are_wrong(saved: dict[str, bytes], tmp_path: Path, ending: str, value: Any) -> None:
    from schuss.files.containers import container

    path = tmp_path / f"net{ending}"
    path.write_bytes(saved[ending])
    header = json.loads(container(str(path)).decode(str(path), saved[ending])[1])
    if isinstance(value, dict) and value:
        value = {**header["checksums"], **value}
    with_text(path, json.dumps({**header, "checksums": value}))
    assert outcome(path, tmp_path / "again.npz") == "refused"


ARRAYS: list[tuple[str, Any]] = [
    ("parameters.0", np.zeros((4, 5))),
    ("parameters.0", np.zeros((5, 4), np.float32)),
    ("parameters.0", np.zeros(20, np.float32)),
    ("parameters.0", np.zeros((4, 5), np.int64)),
    ("parameters.99", np.zeros(3, np.float32)),
    ("states.0", np.zeros(4, np.float32)),
    ("states.9", np.zeros(4, np.float32)),
    ("optimizer.0.exp_avg", np.zeros(3, np.float32)),
    ("optimizer.0.nonesuch", np.zeros(3, np.float32)),
    ("optimizer.99.exp_avg", np.zeros(3, np.float32)),
    ("averages.0.0", np.zeros(3, np.float32)),
    ("averages.2.0", np.zeros((4, 5), np.float32)),
    ("wrappers.0.sums.0", np.zeros((4, 5), np.float32)),
    ("history.epochs", np.zeros(2)),
    ("history.epochs", np.array([np.nan, 1])),
    ("history.epochs", np.array([-1, 1])),
    ("history.epochs", np.array([1, 2**40])),
    ("history.epochs", np.zeros((2, 1), np.int64)),
    ("history.epochs", np.array(2)),
    ("history.epochs", np.zeros(3, np.int64)),
    ("history.lr", np.zeros(3)),
    ("history.seconds", np.zeros(2, np.float32)),
    ("history.9", np.zeros(2)),
    ("extra", np.zeros(2)),
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("name", "array"), ARRAYS, ids=[f"{name} {k}" for k, (name, _) in enumerate(ARRAYS)])
def test_arrays_that_are_wrong(saved: dict[str, bytes], tmp_path: Path, ending: str, name: str, array: Any) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(saved[ending])
    rewritten(path, lambda header, content: content.update({name: array}))
    assert outcome(path, tmp_path / f"again{ending}") == "refused"
    if name in ("parameters.0", "states.0", "optimizer.0.exp_avg", "averages.0.0", "history.epochs", "history.lr"):
        path.write_bytes(saved[ending])
        rewritten(path, lambda header, content: content.__delitem__(name))
        assert outcome(path, tmp_path / f"again{ending}") == "refused"


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0**53, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("kind", "place"), [("prodigy", 0), ("schedule_free", 0), ("prodigy", -1), ("schedule_free", -1)]
)
def test_counts_of_what_is_remembered(tmp_path: Path, kind: str, place: int, value: float) -> None:
    path = tmp_path / "net.npz"
    fitted(kind).save(path)

    def change(header: Any, content: Any) -> None:
        for row in header["optimizer"]["memories"]:
            row[place] = value

    rewritten(path, change)
    assert outcome(path, tmp_path / "again.npz") == "refused"
    rewritten(path, lambda header, content: changed(header, ("optimizer", "memories"), [[0.0] * 14]))
    assert outcome(path, tmp_path / "again.npz") == ("refused" if kind == "prodigy" else "loaded")


def test_only_schedule_free_optimizers_rest(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    fitted("prodigy").save(path)

    def change(header: Any, content: Any) -> None:
        for row in header["optimizer"]["memories"]:
            row[-1] = 1.0

    rewritten(path, change)
    assert outcome(path, tmp_path / "again.npz") == "refused"


@pytest.mark.parametrize("ending", ENDINGS)
def test_numbers_that_a_step_may_leave_are_loaded(tmp_path: Path, ending: str) -> None:
    """A network whose parameters are NaN is what it is; so are states and what groups remember."""
    net = fitted("prodigy")
    net.parameters[0][0, 0] = np.nan
    assert net.optimizer is not None
    net.optimizer.step([np.full_like(p, np.nan) for p in net.optimizer._stepper.params])
    assert np.isnan(net.optimizer._stepper.memories).any()
    net.save(tmp_path / f"net{ending}")
    other = schuss.load(tmp_path / f"net{ending}")
    assert np.isnan(other.parameters[0][0, 0])
    assert other.optimizer is not None
    np.testing.assert_array_equal(other.optimizer._stepper.memories, net.optimizer._stepper.memories)


def test_schedules_that_would_take_for_ever(saved: dict[str, bytes], tmp_path: Path) -> None:
    """Each is the one before times itself: 60 entries, 2**60 parts."""
    table: list[Any] = [{"kind": "Constant", "arguments": {"lr": 0.5}}]
    for k in range(60):
        table.append({"kind": "Product", "arguments": {"factors": [{"schedule": k}, {"schedule": k}]}})
    net = schuss.Network([schuss.Dense(2, 2)], seed=0)
    from schuss import schedules

    schedule: Any = schedules.Constant(0.5)
    for _ in range(14):
        schedule = schedules.Product(schedule, schedule)
    net.optimizer = schuss.SGD(net.parameters, lr=0.1)
    net.optimizer.param_groups[0]["schedule"] = schedule
    with pytest.raises(ValueError, match=f"at most {MOST_SCHEDULE_PARTS} parts"):
        net.save(tmp_path / "own.npz")
    path = tmp_path / "net.npz"
    path.write_bytes(saved[".npz"])

    def change(header: Any, content: Any) -> None:
        header["optimizer"].update(schedules=table, scheduled=[60])

    rewritten(path, change)
    assert outcome(path, tmp_path / "again.npz") == "refused"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_layers_that_would_not_fit_into_memory(saved: dict[str, bytes], tmp_path: Path, ending: str, size: int) -> None:
    dense = {"kind": "dense", "n_in": size, "n_out": size}
    path = tmp_path / f"net{ending}"
    for layers in (
        [dense],
        [dense] * 50,
        [{"kind": "input", "name": "x", "n": size}, {"kind": "activation", "name": "relu"}],
        [{"kind": "input", "name": "x", "n": 1, "dtype": "int64"}, {"kind": "embedding", "n": size, "dim": size}],
        [{"kind": "input", "name": "x", "n": size}, {"kind": "batch_norm", "n": size}],
    ):
        path.write_bytes(saved[ending])
        rewritten(path, lambda header, content, layers=layers: header.update(layers=layers))
        assert outcome(path, tmp_path / f"again{ending}") == "refused"


def test_states_that_would_not_fit_into_memory(tmp_path: Path) -> None:
    """A preconditioner of a side that had none is of its square."""
    net = schuss.Network([schuss.Dense(1, 30_000)], seed=0)
    net.optimizer = schuss.SOAP(net.parameters, max_precond_dim=10)
    path = tmp_path / "net.npz"
    net.save(path)

    def change(header: Any, content: Any) -> None:
        header["optimizer"]["groups"][0].update(max_precond_dim=10**9, precondition_1d=True)

    rewritten(path, change)
    assert outcome(path, tmp_path / "again.npz") == "refused"


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    net = fitted()
    for name, value in (("epochs_done", float("nan")), ("epochs_done", -1), ("epochs_done", "3")):
        before, path = getattr(net, name), tmp_path / "net.npz"
        setattr(net, name, value)
        with pytest.raises((ValueError, TypeError), match=name):
            net.save(path)
        setattr(net, name, before)
        assert not path.exists()
    assert net.optimizer is not None
    net.optimizer.param_groups[0]["eps"] = -1.0
    with pytest.raises(ValueError, match="eps"):
        net.save(tmp_path / "net.npz")
    net.optimizer.param_groups[0]["eps"] = np.float32(1e-8)
    net.history.stopped = np.bool_(True)  # type: ignore[assignment]
    with pytest.raises((ValueError, TypeError), match=r"stopped|JSON"):
        net.save(tmp_path / "net.npz")
    net.history.stopped = "finished"
    net.save(tmp_path / "net.npz")
    used(schuss.load(tmp_path / "net.npz"), tmp_path / "again.npz")


# ---- zip archives ----------------------------------------------------------------------------------------------------


def npy(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def raw_npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1")
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + content


def zipped(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


FINE = npy(np.arange(3.0))
WIDE = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }\n"
ENTRIES: dict[str, bytes] = {
    "an object": npy(np.array([{}], dtype=object), allow_pickle=True),
    "fortran order": npy(np.asfortranarray(np.ones((3, 4)))),
    "big endian" if sys.byteorder == "little" else "little endian": npy(np.arange(3.0, dtype="<f8").astype(
        ">f8" if sys.byteorder == "little" else "<f8")),
    "complex": npy(np.ones(3, np.complex128)),
    "bool": npy(np.ones(3, bool)),
    "text": npy(np.array(["a"])),
    "a record": npy(np.zeros(3, [("a", np.float64)])),
    "version 2": npy(np.arange(3.0), version=(2, 0)),
    "no array": b"hello",
    "nothing": b"",
    "a cut array": FINE[:-1],
    "a cut header": FINE[:40],
    "more than the array": FINE + b"\0",
    "a huge array": raw_npy(WIDE % "1000000000000,", b"\0" * 8),
    "a product that overflows": raw_npy(WIDE % "4294967296, 4294967296", b""),
    "a product that overflows to fit": raw_npy(WIDE % "4611686018427387905, 4", b"\0" * 32),
    "a negative size": raw_npy(WIDE % "-3,", b"\0" * 24),
    "two negative sizes": raw_npy(WIDE % "-3, -1", b"\0" * 24),
    "a size with many digits": raw_npy(WIDE % ("9" * 5000 + ","), b""),
    "a size that is text": raw_npy(WIDE % "'3',", b"\0" * 24),
    "many dimensions": raw_npy(WIDE % ("1, " * 3000 + "1"), b"\0" * 8),
    "deep brackets": raw_npy("(" * 5000),
    "no literal": raw_npy("{'descr': print(3)}"),
    "an open literal": raw_npy("{'descr': '''"),
    "a null": raw_npy("\0\0\0"),
    "a header longer than the entry": b"\x93NUMPY\x01\x00\xff\xff{",
}  # fmt: skip


@pytest.mark.parametrize("what", ENTRIES)
def test_entries_that_are_no_array_of_ours(tmp_path: Path, what: str) -> None:
    data = zipped([("fine.npy", FINE), ("x.npy", ENTRIES[what])])
    with pytest.raises(ValueError, match="x'"):
        npz.decode(data)
    path = tmp_path / "net.npz"
    path.write_bytes(data)
    assert outcome(path, path) == "refused"


def patched(data: bytes, local: int | None, central: int | None, value: bytes) -> bytes:
    """Other bytes at a place of the last entry's local header and of its directory entry."""
    found = bytearray(data)
    for signature, at in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        if at is not None:
            start = data.rindex(signature) + at
            found[start : start + len(value)] = value
    return bytes(found)


TWO = zipped([("a.npy", FINE), ("x.npy", FINE)])
LARGE = struct.pack("<I", 2**31)
SUM = struct.pack("<I", zlib.crc32(FINE + FINE))
ARCHIVES: dict[str, bytes] = {
    "compressed": zipped([("x.npy", FINE)], zipfile.ZIP_DEFLATED),
    "compressed in other ways": zipped([("x.npy", FINE)], zipfile.ZIP_LZMA),
    "inflating to much": zipped([("x.npy", npy(np.zeros(3_000_000)))], zipfile.ZIP_DEFLATED),
    "compressed, it says": patched(TWO, 8, 10, b"\x08\x00"),
    "encrypted": patched(TWO, 6, 8, b"\x01\x00"),
    "of a method that is none": patched(TWO, 8, 10, b"\x63\x00"),
    "sizes that exceed the file": patched(patched(TWO, 18, 20, LARGE), 22, 24, LARGE),
    "a size that exceeds what it is stored in": patched(TWO, 22, 24, LARGE),
    "a place behind the end": patched(TWO, None, 42, LARGE),
    "a place that is none": patched(TWO, None, 42, b"\x05\x00\x00\x00"),
    "another name in the directory": patched(TWO, None, 46, b"y"),
    "another checksum": patched(TWO, 14, 16, SUM),
    "within another": patched(TWO, None, 42, b"\0\0\0\0"),
    "an absolute name": zipped([("/x.npy", FINE)]),
    "a name above": zipped([("../x.npy", FINE)]),
    "a folder": zipped([("x/", b"")]),
    "a name in a folder": zipped([("a/x.npy", FINE)]),
    "a name with another ending": zipped([("x.txt", b"hello")]),
    "no name": zipped([(".npy", FINE)]),
    "a name with spaces": zipped([("a b.npy", FINE)]),
    "a name that is not ASCII": zipped([("\u00e9.npy", FINE)]),
    "a long name": zipped([("x" * 500 + ".npy", FINE)]),
    "no directory": TWO[: TWO.rindex(b"PK\x01\x02")],
    "no end": TWO[:-10],
    "an end alone": b"PK\x03\x04" + TWO[-22:],
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives_that_are_not_as_ours(tmp_path: Path, what: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        npz.decode(ARCHIVES[what])
    path = tmp_path / "net.npz"
    path.write_bytes(ARCHIVES[what])
    assert outcome(path, path) == "refused"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_with_a_name_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'x' is there twice"):
        npz.decode(zipped([("x.npy", FINE), ("x.npy", FINE)]))


def test_entries_that_share_their_bytes() -> None:
    """An entry whose content are the entries behind it: a small file that would be large networks."""
    inner = zipped([("b.npy", FINE)])
    inner = inner[: inner.index(b"PK\x01\x02")]
    padding = (-len(inner)) % 8
    outer = raw_npy(WIDE.replace("<f8", "|u1") % f"{len(inner) + padding},")
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.writestr("a.npy", outer + inner + b"\0" * padding)
        place = found.getvalue().rindex(b"PK\x03\x04")
        entry = zipfile.ZipInfo("b.npy")
        entry.header_offset, entry.file_size, entry.compress_size, entry.CRC = (
            place,
            len(FINE),
            len(FINE),
            zlib.crc32(FINE),
        )
        archive.filelist.append(entry)
        archive.NameToInfo["b.npy"] = entry
    with zipfile.ZipFile(found) as archive:
        assert archive.read("b.npy") == FINE
    with pytest.raises(ValueError, match="'b' lies within another"):
        npz.decode(found.getvalue())


def test_archives_as_ours_are_read_without_a_copy() -> None:
    arrays = {
        "a": np.arange(5.0),
        "b.0": np.ones((2, 3), np.float32),
        "c": np.int64(5),
        "d": np.zeros((0, 3), np.uint8),
    }
    found = npz.decode(npz.encode(arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].shape == np.shape(array)
    assert not found["a"].flags.owndata and not found["a"].flags.writeable


# ---- safetensors -----------------------------------------------------------------------------------------------------


def tensors_file(header: Any, content: bytes = b"\0" * 24, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def x(**changes: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F64", "shape": [3], "data_offsets": [0, 24], **changes}}


TENSORS: dict[str, bytes] = {
    "nothing": b"",
    "a length alone": b"\x08\0\0\0\0\0\0\0",
    "a length behind the end": tensors_file(x(), length=2**40),
    "the longest length": tensors_file(x(), length=2**64 - 1),
    "no JSON": tensors_file(b"hello"),
    "no UTF-8": tensors_file(b"\xff\xfe{}"),
    "no object": tensors_file([1]),
    "deep JSON": tensors_file(b"[" * 100_000),
    "long numbers": tensors_file(b'{"x": ' + b"9" * 10_000 + b"}"),
    "a name twice": tensors_file(b'{"x": 1, "x": 2}'),
    "metadata that are no object": tensors_file({"__metadata__": 3}, b""),
    "metadata that are no text": tensors_file({"__metadata__": {"a": 3}}, b""),
    "no description": tensors_file({"x": 3}),
    "a description that lacks": tensors_file({"x": {"dtype": "F64", "shape": [3]}}),
    "a description that has more": tensors_file(x(more=1)),
    "another dtype": tensors_file(x(dtype="BF16", shape=[12])),
    "a dtype that is none": tensors_file(x(dtype=[])),
    "a size that is negative": tensors_file(x(shape=[-3])),
    "sizes that are negative": tensors_file(x(shape=[-3, -1])),
    "a size that is text": tensors_file(x(shape=["3"])),
    "a size that is real": tensors_file(x(shape=[3.0])),
    "a size that is true": tensors_file(x(shape=[3, True])),
    "a size that overflows": tensors_file(x(shape=[2**61 + 3])),
    "sizes that overflow": tensors_file(x(shape=[2**32, 2**32])),
    "many dimensions": tensors_file(x(shape=[3] + [1] * 100)),
    "a size of more": tensors_file(x(shape=[4])),
    "places the other way": tensors_file(x(data_offsets=[24, 0])),
    "places behind the end": tensors_file(x(data_offsets=[8, 32])),
    "places that are none": tensors_file(x(data_offsets=[None, None])),
    "places of three": tensors_file(x(data_offsets=[0, 24, 24])),
    "a gap": tensors_file(x(data_offsets=[8, 32]), b"\0" * 32),
    "more behind": tensors_file(x(), b"\0" * 25),
    "overlap": tensors_file({**x(), "y": x()["x"]}),
}


@pytest.mark.skipif(".safetensors" not in ENDINGS, reason="safetensors is not installed")
@pytest.mark.parametrize("what", TENSORS)
def test_tensors_that_are_not_as_ours(tmp_path: Path, what: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        tensors._checked(TENSORS[what])
    path = tmp_path / "net.safetensors"
    path.write_bytes(TENSORS[what])
    assert outcome(path, path) == "refused"


@pytest.mark.skipif(".safetensors" not in ENDINGS, reason="safetensors is not installed")
@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"schuss_crc32": "x"},
        {"schuss_crc32": "-1"},
        {"schuss_crc32": "9" * 50},
        {"schuss_crc32": "\u0663"},
        {"more": "x"},
    ],
)
def test_texts_beside_tensors(saved: dict[str, bytes], tmp_path: Path, texts: dict[str, str]) -> None:
    content, metadata = tensors.decode(saved[".safetensors"])
    path = tmp_path / "net.safetensors"
    path.write_bytes(tensors.encode(content, {**metadata, **texts}))
    assert outcome(path, tmp_path / "again.safetensors") == ("refused" if texts else "loaded")


@pytest.mark.skipif(".safetensors" not in ENDINGS, reason="safetensors is not installed")
def test_tensors_as_ours() -> None:
    assert tensors.decode(tensors_file(x()))[0]["x"].tolist() == [0, 0, 0]
    arrays: dict[str, Any] = {"a": np.arange(5.0), "c": np.array(5), "d": np.zeros((0, 3), np.uint8)}
    found, texts = tensors.decode(tensors.encode(arrays, {"k": "v"}))
    assert texts == {"k": "v"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_file_that_was_damaged_here_works(saved: dict[str, bytes], tmp_path: Path) -> None:
    for ending in ENDINGS:
        path = tmp_path / f"net{ending}"
        path.write_bytes(saved[ending])
        rewritten(path, lambda header, content: None)
        assert outcome(path, tmp_path / f"again{ending}") == "loaded"
        assert outcome(tmp_path / f"again{ending}", tmp_path / f"third{ending}") == "loaded"
