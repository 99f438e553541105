"""From numbers with gaps and codes to what a network learns from: steps that are fitted on training rows."""

from .bins import quantile_bins
from .missing import MedianFill
from .one_hot import OneHot
from .quantile import QuantileNormal
from .robust import RobustScale, smooth_clip
from .table import Encoding
from .targets import Standardise

__all__ = [
    "Encoding",
    "MedianFill",
    "OneHot",
    "QuantileNormal",
    "RobustScale",
    "Standardise",
    "quantile_bins",
    "smooth_clip",
]
