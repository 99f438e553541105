"""Results as data, files and text."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from schuss.comparison import Comparison, load
from schuss.comparison.data import lasting
from tests.comparison.example import example


@pytest.mark.parametrize("validation", [False, True])
def test_a_saved_comparison_is_the_same_when_loaded(tmp_path, validation):
    found = example(validation=validation)
    found.save(tmp_path / "found.json")
    again = load(tmp_path / "found.json")
    assert again == found
    assert type(again.seeds) is tuple and type(again.contenders[0].runs[0].losses) is tuple
    assert json.loads((tmp_path / "found.json").read_text())["schuss comparison"] == 1


def test_a_loss_counts_that_lasts():
    assert lasting([5.0, 4.0, 0.0, 5.0, 3.0, 3.0, 3.0, 9.0]) == 8 / 3
    assert lasting([5.0, 1.0]) == 3.0 and lasting([2.0]) == 2.0


def test_without_times_nothing_of_them_is_left():
    plain = example().to_dict(times=False)
    assert plain["seconds"] is None and plain["took"] is None
    assert all(one["at_time"] is None and one["seconds_to_target"] is None for one in plain["contenders"])
    assert not any(run["seconds"] for one in plain["contenders"] for run in one["runs"])
    assert all(one["seconds"] is None for one in plain["others"])


def test_text_holds_every_optimizer_and_the_verdict():
    text = str(example())
    for label in ("Adam", "AdamW", "RMSProp", "SGD + momentum", "SGD", "Lion", "majority", "gradient boosting"):
        assert label in text
    assert "Recommended: Adam, lr=0.004" in text and "as good as each other" in text
    assert "diverged" in text and "never" in text


def test_files_that_are_none_are_refused(tmp_path):
    for name, text, why in (
        ("a", "{", "not a saved comparison"),
        ("b", "[]", "not a saved comparison"),
        ("c", '{"schuss comparison": 99}', "version 99"),
        ("d", '{"schuss comparison": 1}', "no comparison"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=why):
            load(tmp_path / name)
    with pytest.raises(OSError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_what_is_found_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        example().recommended = "SGD"


def test_contenders_are_found_by_label():
    assert example()["AdamW"].arguments == {"weight_decay": 0.01}
    with pytest.raises(KeyError, match="compared: Adam"):
        example()["adam"]
    assert isinstance(Comparison.from_dict(example().to_dict()), Comparison)
