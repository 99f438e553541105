"""The mathematics of the core in plain NumPy, written for reading rather than for speed."""
