"""Networks of other libraries, in and out: `from_torch`, `to_torch`, `from_keras`, `to_keras`."""
