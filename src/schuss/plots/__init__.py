"""Drawings with matplotlib. pyplot's state is left alone."""
