"""Tables: preprocessing that any network can use, and the recipes that win on them."""

from .encoding import MedianFill, OneHot, QuantileNormal, RobustScale, Standardise, quantile_bins

__all__ = ["MedianFill", "OneHot", "QuantileNormal", "RobustScale", "Standardise", "quantile_bins"]
