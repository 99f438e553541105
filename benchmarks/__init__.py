"""Speed, measured beside other libraries and beside the limits of the machine. Run ``python -m benchmarks``."""
