"""The steps in front of a table's network: their numbers, their plain data, and what they refuse."""

import doctest
import importlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schuss.tables import (
    Columns,
    DataError,
    Encoding,
    MedianFill,
    OneHot,
    QuantileNormal,
    RobustScale,
    Standardise,
    quantile_bins,
)

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


def matrices(elements=FINITE, least=1):
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=least, max_side=12)
    return hnp.arrays(np.float64, shapes, elements=elements)


def steps():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 3)) * [1, 1e3, 1e-3]
    gaps = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    return [
        (MedianFill.fit(gaps), gaps),
        (RobustScale.fit(X), X),
        (RobustScale.fit(X, limit=None), X),
        (QuantileNormal.fit(X, noise=1e-5), X),
        (OneHot([2, 3, 1], binary="two"), rng.integers(0, [4, 5, 3], (40, 3))),
        (Standardise.fit(X), X),
    ]


@pytest.mark.parametrize(("step", "X"), steps(), ids=lambda value: type(value).__name__)
def test_plain_data_makes_an_equal_step(step, X):
    again = type(step).from_dict(json.loads(json.dumps(step.to_dict())))
    assert again == step and hash(again) == hash(step)
    np.testing.assert_array_equal(again.transform(X), step.transform(X))
    with pytest.raises(ValueError, match="data must hold"):
        type(step).from_dict({**step.to_dict(), "more": 1})
    with pytest.raises(ValueError, match="read-only"):
        next(value for value in vars(step).values() if isinstance(value, np.ndarray))[0] = 1


@pytest.mark.parametrize(("step", "X"), steps(), ids=lambda value: type(value).__name__)
def test_rows_are_transformed_each_alone_and_left_as_they_were(step, X):
    before = X.copy()
    whole = step.transform(X)
    np.testing.assert_array_equal(np.vstack([step.transform(X[k : k + 1]) for k in range(len(X))]), whole)
    np.testing.assert_array_equal(step.transform(np.asfortranarray(X)), whole)
    np.testing.assert_array_equal(step.transform(X.astype(X.dtype.newbyteorder())), whole)
    np.testing.assert_array_equal(X, before)
    assert step.transform(X[:0]).shape == (0, whole.shape[1])


# ---- missing ------------------------------------------------------------------------------------------------------


def test_medians_stand_for_what_is_missing_and_a_column_tells():
    X = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan], [8.0, np.nan, 4.0]])
    fill = MedianFill.fit(X)
    np.testing.assert_array_equal(fill.medians, [3.0, 0.0, 3.0])
    # Nothing was missing in the first column, all was in the second: neither has an indicator.
    np.testing.assert_array_equal(fill.transform(X), [[1, 0, 2, 0], [3, 0, 3, 1], [8, 0, 4, 0]])
    np.testing.assert_array_equal(fill.transform([[np.nan, 5.0, 6.0]]), [[3, 5, 6, 0]])
    assert MedianFill.fit(X, indicators=False).width == 3


@given(matrices(st.floats(allow_infinity=False, allow_nan=True)))
def test_medians_are_those_of_numpy(X):
    fill = MedianFill.fit(X)
    for column, median in zip(X.T, fill.medians, strict=True):
        known = column[~np.isnan(column)]
        with np.errstate(over="ignore"):
            wanted = np.median(known) if len(known) else 0.0
        assert median == wanted or not np.isfinite(wanted)
        assert not len(known) or known.min() <= median <= known.max()


# ---- one-hot ------------------------------------------------------------------------------------------------------


def test_one_hot_columns():
    step = OneHot([2, 3, 1, 0])
    assert step.widths.tolist() == [1, 3, 1, 0]
    C = [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 0], [3, 3, 1, 1], [1, 4, 2, 0]]
    wanted = [[0, 0, 0, 0, 0], [1, 1, 0, 0, 1], [-1, 0, 1, 0, 0], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(step.transform(C), wanted)
    np.testing.assert_array_equal(
        OneHot([2], binary="two").transform([[0], [1], [2], [3]]), [[0, 0], [1, 0], [0, 1], [0, 0]]
    )


@pytest.mark.parametrize(
    ("C", "message"),
    [
        ([[0.5, 1.0]], "C must be an integer matrix"),
        ([[1]], "C must have 2 columns; got 1"),
        ([[1, 1], [0, 5]], r"C must be codes from 0 to cardinality \+ 1; C\[1, 1\] is 5"),
        ([[-1, 1]], r"C\[0, 0\] is -1"),
    ],
)
def test_codes_out_of_range_are_refused(C, message):
    with pytest.raises((TypeError, ValueError), match=message):
        OneHot([2, 3]).transform(C)


# ---- robust scale -------------------------------------------------------------------------------------------------


@given(matrices())
def test_robust_scale_is_its_formula(X):
    step = RobustScale.fit(X)
    q25, median, q75 = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    width = np.where(q75 > q25, q75 - q25, 0.5 * (X.max(axis=0) - X.min(axis=0)))
    with np.errstate(all="ignore"):
        factor = 1.0 / width
        factor = np.where((width > 0) & np.isfinite(factor), factor, 0.0)
        z = (X - median) * factor
        wanted = np.where(np.isinf(z), np.sign(z) * 3, z / np.hypot(1, z / 3))
    np.testing.assert_allclose(step.transform(X), wanted, rtol=1e-12, atol=1e-300)


def test_a_rare_one_hot_column_holds_zero_and_1_664():
    column = np.zeros((100, 1))
    column[7] = 1.0
    z = RobustScale.fit(column).transform(column)
    np.testing.assert_allclose(np.unique(z), [0.0, 2.0 / np.sqrt(1 + 4 / 9)])
    # The same whether the column is written 0 and 1 or 1 and -1.
    np.testing.assert_allclose(RobustScale.fit(1 - 2 * column).transform(1 - 2 * column), -z)


@given(matrices(st.floats(allow_infinity=False, allow_nan=True)), st.floats(allow_infinity=False))
def test_robust_scale_stays_within_its_limit(X, value):
    step = RobustScale.fit(X)
    z = step.transform(np.full((1, X.shape[1]), value))
    assert np.isnan(value) == np.isnan(z).all()
    assert np.isnan(z).all() or (np.abs(z) <= 3.0).all()


def test_missing_numbers_do_not_narrow_the_scale():
    X = np.concatenate([np.full(70, np.nan), np.arange(30.0)])[:, None]
    assert RobustScale.fit(X) == RobustScale.fit(np.arange(30.0)[:, None])


# ---- quantiles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 299, 3000])
def test_quantiles_are_those_of_scikit_learn(rows):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(rows)
    X = np.column_stack([rng.normal(size=rows), rng.integers(0, 4, rows), rng.exponential(size=rows), np.ones(rows)])
    noise = np.random.default_rng(0).normal(0.0, 1e-5, X.shape)
    n_quantiles = max(min(rows // 30, 1000), 10)
    peer = preprocessing.QuantileTransformer(
        n_quantiles=min(n_quantiles, rows), output_distribution="normal", subsample=10**9
    ).fit(X + noise)
    step = QuantileNormal.fit(X, noise=1e-5)
    np.testing.assert_allclose(step.quantiles, peer.quantiles_, rtol=1e-13)
    other = np.vstack([X, X + 0.1, 100 * rng.normal(size=(50, 4)), step.quantiles])
    np.testing.assert_allclose(step.transform(other), peer.transform(other), rtol=1e-9, atol=1e-9)


def test_quantiles_leave_gaps_in_a_constant_column():
    assert np.isnan(QuantileNormal.fit([[2.0], [2.0]]).transform([[np.nan]])).all()


@given(matrices(st.floats(-1e300, 1e300, allow_subnormal=False)), st.floats(allow_nan=True, allow_infinity=False))
def test_quantiles_keep_the_order(X, value):
    step = QuantileNormal.fit(X)
    z = step.transform(np.vstack([np.sort(X, axis=0), np.full((1, X.shape[1]), value)]))
    assert (np.diff(z[:-1], axis=0) >= -1e-12).all() and (np.abs(z[:-1]) < 5.3).all()
    assert np.isnan(z[-1]).all() == np.isnan(value)


def test_missing_numbers_do_not_count_as_quantiles():
    X = np.random.default_rng(0).normal(size=(100, 1))
    gaps = np.vstack([X, np.full((10, 1), np.nan)])
    assert QuantileNormal.fit(gaps, n_quantiles=10) == QuantileNormal.fit(X, n_quantiles=10)
    assert np.isnan(QuantileNormal.fit(gaps).transform([[np.nan]])).all()


# ---- bins ---------------------------------------------------------------------------------------------------------


@given(matrices(), st.integers(1, 60))
def test_bins_are_quantiles_without_duplicates(X, n_bins):
    edges = quantile_bins(X, n_bins)
    assert len(edges) == X.shape[1]
    for column, found in zip(X.T, edges, strict=True):
        assert 2 <= len(found) <= n_bins + 1 and (np.diff(found) > 0).all()
        if column.min() < column.max():
            assert found[0] == column.min() and found[-1] == column.max()
        else:
            assert found[0] == column[0]


def test_bins_are_those_of_rtdl():
    torch = pytest.importorskip("torch")
    rtdl = pytest.importorskip("rtdl_num_embeddings")
    X = np.random.default_rng(2).normal(size=(500, 3)).astype(np.float32)
    X[:, 1] = X[:, 1].round()
    for found, wanted in zip(quantile_bins(X), rtdl.compute_bins(torch.from_numpy(X)), strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)


# ---- targets ------------------------------------------------------------------------------------------------------


@given(matrices())
def test_standardised_targets_come_back(y):
    standard = Standardise.fit(y)
    z = standard.transform(y)
    np.testing.assert_allclose(standard.inverse(z), y, rtol=1e-9, atol=1e-6 * max(1.0, np.abs(y).max()) * 1e-3)
    low, high = standard.limits()
    assert (z >= low).all() and (z <= high).all()
    varied = y.min(axis=0) < y.max(axis=0)
    np.testing.assert_allclose(z.std(axis=0)[varied], 1.0, rtol=1e-5)


def test_weights_count_in_the_standard_units():
    y = np.array([[0.0], [1.0], [5.0]])
    assert Standardise.fit(y, [1, 1, 0]).means == 0.5
    np.testing.assert_allclose(Standardise.fit(y, [2, 1, 1]).deviations, np.std([0.0, 0, 1, 5]))


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [MedianFill.fit, RobustScale.fit, QuantileNormal.fit, quantile_bins, Standardise.fit])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.empty((0, 2)), "must have at least one row"),
        (np.zeros(3), r"must have shape \(rows, columns\)"),
        ([["a"]], "must be an array of real numbers"),
        ([[1.0], [np.inf]], r"must be finite.*\[1, 0\] is inf"),
    ],
)
def test_bad_training_rows_are_refused(fit, X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(X)


def test_a_target_must_be_known():
    with pytest.raises(ValueError, match=r"y must be finite; y\[1, 0\] is nan"):
        Standardise.fit([[1.0], [np.nan]])
    with pytest.raises(ValueError, match="y must have a mean and a deviation; column 0"):
        Standardise.fit([[1.7e308], [1.7e308], [-1.7e308]])


@pytest.mark.parametrize(("step", "X"), steps(), ids=lambda value: type(value).__name__)
def test_other_columns_are_refused(step, X):
    with pytest.raises(ValueError, match="must have 3 columns; got 2"):
        step.transform(X[:, :2])


# ---- a whole table ------------------------------------------------------------------------------------------------


def table(rows=30, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3))
    numbers[rng.random(rows) < 0.3, 1] = np.nan
    return Columns(numbers, rng.integers(0, np.array([2, 3, 20]) + 2, (rows, 3)))


CARDINALITIES = (2, 3, 20)


def test_a_table_in_one_input():
    columns = table()
    encoding = Encoding.fit(columns, CARDINALITIES)
    inputs = encoding.transform(columns)
    assert list(inputs) == ["columns"] and inputs["columns"].shape == (30, 3 + 1 + 1 + 3 + 20)
    assert inputs["columns"].dtype == np.float32 and encoding.widths == {"columns": 28}
    numbers = RobustScale.fit(columns.numbers).transform(MedianFill.fit(columns.numbers).filled(columns.numbers))
    np.testing.assert_array_equal(inputs["columns"][:, :3], numbers.astype(np.float32))
    flags = np.hstack([np.isnan(columns.numbers[:, 1:2]), OneHot(CARDINALITIES).transform(columns.codes)])
    np.testing.assert_array_equal(inputs["columns"][:, 3:], RobustScale.fit(flags).transform(flags).astype(np.float32))
    assert sum(encoding.chunks()) == 28 and encoding.chunks() == [1, 1, 1, 1, 1, 3, 20]


def test_a_table_in_parts():
    columns = table()
    encoding = Encoding.fit(columns, CARDINALITIES, most_one_hot=2, parted=True)
    inputs = encoding.transform(columns)
    assert encoding.widths == {"numbers": 3, "flags": 2, "codes": 2}
    assert {name: array.shape[1] for name, array in inputs.items()} == encoding.widths
    # Missing and unknown categories are the first row of each column's part of the table.
    known = np.where(columns.codes[:, 1:] > [3, 20], 0, columns.codes[:, 1:])
    wanted = known + np.array([0, 4])
    np.testing.assert_array_equal(inputs["codes"], wanted)
    assert encoding.table_rows == 4 + 21 and inputs["codes"].max() < 25


@pytest.mark.parametrize("options", [{}, {"parted": True, "most_one_hot": 5}, {"scaled": "quantiles", "binary": "two"}])
def test_a_tables_encoding_is_plain_data(options):
    columns = table()
    encoding = Encoding.fit(columns, CARDINALITIES, **options)
    again = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert again == encoding
    for name, array in encoding.transform(table(seed=1)).items():
        np.testing.assert_array_equal(again.transform(table(seed=1))[name], array)


def test_tables_of_numbers_or_of_categories_alone():
    numbers, codes = table().numbers, table().codes
    alone = Encoding.fit(Columns(numbers, np.empty((30, 0), np.int64)), (), parted=True, most_one_hot=8)
    assert alone.widths == {"numbers": 3, "flags": 1}
    alone = Encoding.fit(Columns(np.empty((30, 0)), codes), CARDINALITIES, parted=True, most_one_hot=8)
    assert alone.widths == {"flags": 4, "codes": 1}
    with pytest.raises(DataError, match="there is no column"):
        Encoding.fit(Columns(np.empty((30, 0)), np.empty((30, 0), np.int64)), ())


def test_numbers_beyond_float32_become_its_largest():
    columns = Columns(np.array([[0.0], [1.0], [2.0]]), np.empty((3, 0), np.int64))
    encoding = Encoding.fit(columns, (), limit=None)
    far = Columns(np.array([[1e300], [-1e300]]), np.empty((2, 0), np.int64))
    largest = np.finfo(np.float32).max
    np.testing.assert_array_equal(encoding.transform(far)["columns"], [[largest], [-largest]])


@pytest.mark.parametrize("name", ["bins", "missing", "one_hot", "quantile", "robust", "targets"])
def test_examples(name):
    module = importlib.import_module(f"schuss.tables.encoding.{name}")
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("parted", [False, True])
def test_rows_go_a_part_at_a_time(parted, monkeypatch):
    rng = np.random.default_rng(3)
    columns = Columns(rng.normal(size=(50, 3)), rng.integers(0, [4, 30], (50, 2)))
    encoding = Encoding.fit(columns, [3, 29], most_one_hot=8, parted=parted)
    whole = encoding.transform(columns)
    monkeypatch.setattr("schuss.tables.encoding.table.ROWS_AT_A_TIME", 7)
    parts = encoding.transform(columns)
    assert list(parts) == list(whole)
    for name, values in whole.items():
        assert parts[name].dtype == values.dtype and parts[name].flags.c_contiguous
        np.testing.assert_array_equal(parts[name], values)


@pytest.mark.parametrize("binary", ["one", "two"])
def test_flags_are_scaled_by_what_all_of_them_together_would_say(binary, monkeypatch):
    rng = np.random.default_rng(4)
    sizes = [2, 1, 3, 8, 9, 30]
    numbers = np.where(rng.random((200, 2)) < 0.3, np.nan, rng.normal(size=(200, 2)))
    columns = Columns(numbers, rng.integers(0, np.array(sizes) + 2, (200, len(sizes))))
    encoding = Encoding.fit(columns, sizes, binary=binary)
    whole = RobustScale.fit(encoding._flags(columns))
    assert encoding.flags == whole
