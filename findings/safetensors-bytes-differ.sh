#!/usr/bin/env bash
# The same tensors with the same metadata, saved by two processes, are two different files.
#
# Guess: the format is simple and sorted (tensors are laid out by dtype and name), so equal content gives equal bytes,
# and a checksum of the file tells whether a model has changed.
# Seen with safetensors 0.8.0, numpy 2.4.6: without metadata all runs give one hash; with six entries of metadata nearly
# every process gives another. The header keeps metadata in a hash map whose order is drawn anew by each process.
# Consequence: compare the arrays and the metadata, or hash them in an order of one's own, not the file.
#
#     without metadata: 1 hash in 6 processes
#     with metadata: 6 hashes in 6 processes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q safetensors==0.8.0 numpy==2.4.6
cat >"$folder/save.py" <<'PY'
import hashlib
import sys

import numpy as np
from safetensors.numpy import save

tensors = {f"layer{k}": np.arange(4.0) + k for k in range(6)}
metadata = {f"key{k}": str(k) for k in range(6)} if sys.argv[1] == "with" else None
print(hashlib.sha256(save(tensors, metadata=metadata)).hexdigest())
PY
count() { for _ in 1 2 3 4 5 6; do "$folder/venv/bin/python" "$folder/save.py" "$1"; done | sort -u | wc -l; }
without=$(count without) with=$(count with)
echo "without metadata: $without hash in 6 processes"
echo "with metadata: $with hashes in 6 processes"
[ "$without" = 1 ] && [ "$with" -gt 1 ] # 720 orders: that six processes draw one of them does not happen
