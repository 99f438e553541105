"""What some tables need before columns are dropped: a target made of a column, parts of dates."""

from __future__ import annotations

import pandas as pd


def flights(frame: pd.DataFrame) -> pd.DataFrame:
    """Flights from LaGuardia that landed: late is more than 15 minutes after schedule, as the authorities count it."""
    frame = frame[(frame["origin"] == "LGA") & frame["arr_delay"].notna()]
    return frame.assign(late=(frame["arr_delay"] > 15).map({True: "late", False: "in time"}))


def stops(frame: pd.DataFrame) -> pd.DataFrame:
    """Stops by the police: the time becomes numbers, the same ones for every model."""
    when = pd.to_datetime(frame["date"])
    return frame.assign(month=when.dt.month, weekday=when.dt.day_of_week, hour=when.dt.hour + when.dt.minute / 60)


def weather(frame: pd.DataFrame) -> pd.DataFrame:
    """Weather by day: the date becomes numbers, the same ones for every model."""
    when = pd.to_datetime(frame["date"])
    return frame.assign(year=when.dt.year, day_of_year=when.dt.day_of_year)


def affairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Time spent in affairs becomes whether there was one."""
    return frame.assign(affair=(frame["affairs"] > 0).map({True: "yes", False: "no"}))


def animals(frame: pd.DataFrame) -> pd.DataFrame:
    """Species seen at least 50 times, so that each is in every split."""
    counts = frame["species_id"].value_counts()
    return frame[frame["species_id"].isin(counts[counts >= 50].index)]
