"""Networks in files: NumPy's .npz, or .safetensors; the same content either way.

Arrays are stored by name, everything else as JSON with a checksum for each array, so that damage is found whatever the
container checks itself. Nothing is pickled, and nothing that a file says is believed before it was checked.

The modules, each of which uses only those before it: `npz` and `tensors`, the two containers; `containers`, which
chooses; `writing`, an atomic replacement; `header`, the checks of everything that is no array; `contents`, the parts of
a network as arrays and a header, and back; `networks`, whole files. None of them knows `Network`.
"""
