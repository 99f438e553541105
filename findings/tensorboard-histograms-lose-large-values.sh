#!/usr/bin/env bash
# The histogram that torch's SummaryWriter writes has no place for values beyond 1e20: they are not drawn.
#
# Guess: every finite value of a float32 tensor is in one of the buckets, whose counts add up to how many values there are.
# Seen with torch 2.13.0 and tensorboard 2.21.0: the default buckets ("tensorflow") end at about +-1e20, and what lies beyond is
# in none. num, min and max count it, the buckets do not. So the gradients of a layer that explodes are missing from the
# picture that is to show it: of four values, two are drawn, between 0.9 and 2.2. With bins="auto" all are there.
#
#     values -1e25, 1, 2, 1e21: num 4, in buckets 2, buckets from 0.917 to 2.16
#     bins="auto": num 4, in buckets 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q tensorboard==2.21.0
cat >"$folder/histogram.py" <<'PY'
import sys

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

values = torch.tensor([-1e25, 1.0, 2.0, 1e21])
assert values.isfinite().all()
with SummaryWriter(sys.argv[1]) as writer:
    writer.add_histogram("default", values, 0)
    writer.add_histogram("auto", values, 0, bins="auto")
read = EventAccumulator(sys.argv[1])
read.Reload()
default, auto = (read.Histograms(name)[0].histogram_value for name in ("default", "auto"))
low, high = default.bucket_limit[0], default.bucket_limit[-1]
print(
    f"values -1e25, 1, 2, 1e21: num {default.num:g}, in buckets {sum(default.bucket):g}, "
    f"buckets from {low:.3g} to {high:.3g}"
)
print(f'bins="auto": num {auto.num:g}, in buckets {sum(auto.bucket):g}')
assert default.num == 4 and sum(default.bucket) == 2 and 0 < low < 1 and 2 < high < 3
assert auto.num == 4 and sum(auto.bucket) == 4
PY
"$folder/venv/bin/python" "$folder/histogram.py" "$folder/log" 2>"$folder/warnings" || { cat "$folder/warnings"; exit 1; }
