#!/usr/bin/env bash
# A weak reference keeps the memory of a NumPy array where it is, whatever refcheck says.
#
# Guess: array.resize(..., refcheck=False) moves the memory whoever else refers to the array: that is what the argument is for. A
# weak reference, which does not count as one, certainly does not matter.
# Seen with numpy 2.4.6: with a view on the array it is resized, as asked. With nothing but a weak reference to it, it is refused,
# and the message advises to set refcheck=False, which is set.
# Consequence: who hands an array's address to compiled code, and has to be sure that the address stays good while Python code runs
# in between, can hold a weak reference to the array that owns the memory. Holding the array itself is not enough.
#
#     a view: resized to (8,)
#     a weak reference: refused: cannot resize an array that references or is referenced
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6
cat >"$folder/resize.py" <<'PY'
import sys
import weakref

import numpy as np

array = np.zeros(4)
other = array[1:3] if sys.argv[1] == "view" else weakref.ref(array)
try:
    array.resize(8, refcheck=False)
except ValueError as error:
    print("refused:", str(error).splitlines()[0])
else:
    print("resized to", array.shape)
PY
view=$("$folder/venv/bin/python" "$folder/resize.py" view)
weak=$("$folder/venv/bin/python" "$folder/resize.py" weak)
echo "a view: $view"
echo "a weak reference: $weak"
[ "$view" = "resized to (8,)" ] && [[ "$weak" == refused:* ]]
