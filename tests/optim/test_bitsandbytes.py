"""State_dicts of bitsandbytes: taken in, and given; the real thing too, where it is installed."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")

import schuss  # noqa: E402
import schuss.torch  # noqa: E402
from schuss.optim.bitsandbytes import NESTED, RULES, SQUARES  # noqa: E402
from tests.reference.blocks8 import dynamic_map, widen  # noqa: E402

SHAPES = [(70, 80), (4096,), (5,)]
# Our names (over arrays, and torch's where another), the package's, and options of ours and its.
CASES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("AdamW", "AdamW", "AdamW8bit", {"lr": 0.01}, {"lr": 0.01}),
    (
        "Adam",
        "Adam",
        "Adam8bit",
        {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.01, "weight_decay": 0.1},
    ),
    (
        "AdEMAMix",
        "AdEMAMix",
        "AdEMAMix8bit",
        {"lr": 0.01, "alpha": 4.0, "alpha_warmup": 8, "beta3_warmup": 8},
        {"lr": 0.01, "alpha": 4.0, "t_alpha": 8, "t_beta3": 8, "weight_decay": 0.0},
    ),
    ("Lion", "Lion", "Lion8bit", {"lr": 1e-3}, {"lr": 1e-3}),
    ("SGD", "SGD", "SGD8bit", {"lr": 0.1, "momentum": 0.8}, {"lr": 0.1, "momentum": 0.8}),
    ("RMSProp", "RMSprop", "RMSprop8bit", {"lr": 0.01, "alpha": 0.9}, {"lr": 0.01, "alpha": 0.9}),
    ("AdaGrad", "Adagrad", "Adagrad8bit", {"lr": 0.01}, {"lr": 0.01}),
]
IDS = [case[0] for case in CASES]
PRECISIONS = ["float32", "bfloat16", "8bit"]
RULE = {"AdamW": "adam", "Adam": "adam", "AdEMAMix": "ademamix", "Lion": "lion", "SGD": "sgd", "RMSProp": "rmsprop"}
RULE["AdaGrad"] = "adagrad"


def near(signed: bool) -> Any:
    """The map as bitsandbytes 0.50.2 makes it, by sums of rounded floats: off by up to two units in the last place."""
    values = dynamic_map(signed)
    off = values.copy()
    off[1::3] = np.nextafter(np.nextafter(off[1::3], np.float32(2)), np.float32(2))
    off[2::3] = np.nextafter(off[2::3], np.float32(0))
    return torch.from_numpy(np.where((values == 0) | (values == 1), values, off))


def built(name: str, seed: int = 0) -> dict[str, Any]:
    """What state_dict() of bitsandbytes 0.50.2's optimizer is after three steps, with codes at random."""
    rng = np.random.default_rng(seed)
    rule = RULES[RULE[name]]
    state: dict[int, Any] = {}
    for k, shape in enumerate(SHAPES):
        n = math.prod(shape)
        nested: dict[str, Any] = {}
        for buffer in (1, 2) if rule.second else (1,):
            whole = (2, *shape) if name == "AdEMAMix" and buffer == 1 else shape
            squares = buffer == 2 or name in ("RMSProp", "AdaGrad")
            if n < 4096:
                numbers = rng.normal(size=whole).astype(np.float32)
                nested[f"state{buffer}"] = torch.from_numpy(np.square(numbers) if squares else numbers)
                continue
            least = 127 if squares and buffer == 1 else 0
            nested[f"state{buffer}"] = torch.from_numpy(rng.integers(least, 256, whole, dtype=np.uint8))
            nested[f"qmap{buffer}"] = near(buffer == 1)
            blocks = ((n + 255) // 256,)
            scales = rng.random((2, *blocks) if whole != shape else blocks, dtype=np.float32)
            nested[f"absmax{buffer}"] = torch.from_numpy(scales)
        state[k] = {"step": 3, NESTED: nested}
    group: dict[str, Any] = {"lr": 0.02, "betas": (0.85, 0.99), "eps": 1e-7, "weight_decay": 0.05}
    if rule.second:
        group.update(alpha=0.0, t_alpha=None, t_beta3=None)
    if name == "AdEMAMix":
        group.update(betas=(0.85, 0.99, 0.999), alpha=3.0, t_alpha=100)
    return {"state": state, "param_groups": [{**group, "params": list(range(len(SHAPES)))}]}


def values_of(theirs: dict[str, Any], buffer: int, name: str, place: int | None) -> Any:
    """The numbers of one of its buffers."""
    nested = theirs.get(NESTED, theirs)
    state = nested[f"state{buffer}"].numpy()
    state = state if place is None else state[place]
    if state.dtype != np.uint8:
        return state
    scales = nested[f"absmax{buffer}"].numpy()
    scales = scales if place is None else scales[place]
    numbers = nested[f"qmap{buffer}"].numpy()[state.reshape(-1)] * np.repeat(scales, 256)[: state.size]
    return numbers.reshape(state.shape)


def places(name: str) -> list[tuple[str, int, int | None]]:
    """Our states, and the buffer and half of it that they are in."""
    rule = RULES[RULE[name]]
    first = [(of, 1, k if len(rule.first) > 1 else None) for k, of in enumerate(rule.first)]
    return [*first, *([(rule.second, 2, None)] if rule.second else [])]


def numbers_of(entry: Any, name: str) -> Any:
    """Ours of one state, from a state_dict over arrays or of tensors."""
    value = entry[name]
    if isinstance(value, torch.Tensor):
        value = value.float().numpy() if value.dtype is torch.bfloat16 else value.numpy()
    if value.dtype == np.uint8:
        scales = np.asarray(entry[f"{name}_absmax"])
        return widen(value.reshape(-1), scales, name not in SQUARES).reshape(value.shape)
    return (value.astype(np.uint32) << 16).view(np.float32) if value.dtype == np.uint16 else value


def arrays_like(params: list[Any]) -> list[Any]:
    return [p.detach().numpy().copy() for p in params]


def tensors(seed: int = 1) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [torch.nn.Parameter(torch.from_numpy(rng.normal(size=shape).astype(np.float32))) for shape in SHAPES]


def gradients(seed: int) -> list[Any]:
    rng = np.random.default_rng(100 + seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def over_arrays(case: Any, states: str, params: list[Any]) -> Any:
    opt = getattr(schuss, case[0])(params, **case[3])
    opt.set_precision(states=states)
    return opt


def over_tensors(case: Any, states: str, params: list[Any]) -> Any:
    options = {key: value for key, value in case[3].items() if key != "decoupled_weight_decay" or case[1] == "Adam"}
    return getattr(schuss.torch, case[1])(params, **options, states=states)


def step_tensors(opt: Any, params: list[Any], grads: list[Any]) -> None:
    for p, g in zip(params, grads, strict=True):
        p.grad = torch.from_numpy(g.copy())
    opt.step()


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("states", PRECISIONS)
def test_is_taken_by_both(case: Any, states: str) -> None:
    given = built(case[0])
    before = copy.deepcopy(given)
    params = tensors()
    arrays = arrays_like(params)
    ours, torchs = over_arrays(case, states, arrays), over_tensors(case, states, params)
    ours.load_state_dict(given)
    torchs.load_state_dict(given)
    for k, shape in enumerate(SHAPES):
        for found in (ours.state_dict()["state"][k], torchs.state_dict()["state"][k]):
            assert int(found["step"]) == 3
            assert not {NESTED, "state1", "qmap1"} & set(found)
            for name, buffer, half in places(case[0]):
                wanted = values_of(given["state"][k], buffer, name, half)
                off = np.abs(numbers_of(found, name) - wanted).max()
                same_map = states == "8bit" and (buffer == 2 or name not in SQUARES)
                exact = states == "float32" or (states == "8bit" and math.prod(shape) < 4096) or same_map
                assert off <= (1e-6 if exact else 0.02) * np.abs(wanted).max()
                if same_map and math.prod(shape) >= 4096:
                    codes = given["state"][k][NESTED][f"state{buffer}"]
                    assert np.array_equal(np.asarray(found[name]), np.asarray(codes if half is None else codes[half]))
    for group in (ours.param_groups[0], torchs.param_groups[0]):
        assert (group["lr"], group["weight_decay"]) == (0.02, 0.05)
        if "betas" in group:
            assert tuple(group["betas"]) == given["param_groups"][0]["betas"]
        else:
            assert group.get("momentum" if case[0] == "SGD" else "alpha", 0.85) == 0.85
        if case[0] == "AdEMAMix":
            assert (group["alpha"], group["alpha_warmup"], group["beta3_warmup"]) == (3.0, 100, 0)
    # Both go on as one.
    ours.step(gradients(0))
    step_tensors(torchs, params, gradients(0))
    for p, array in zip(params, arrays, strict=True):
        assert p.detach().numpy().tobytes() == array.tobytes()
    assert set(torchs.state_dict()["state"][0]) == set(ours.state_dict()["state"][0])
    # What was given is as it was.
    assert str(given) == str(before)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("states", PRECISIONS)
def test_there_and_back(case: Any, states: str) -> None:
    """What is given is taken again with the same numbers, from either side."""
    params = tensors()
    arrays = arrays_like(params)
    ours, torchs = over_arrays(case, states, arrays), over_tensors(case, states, params)
    for t in range(2):
        ours.step(gradients(t))
        step_tensors(torchs, params, gradients(t))
    first, second = ours.state_dict(like="bitsandbytes"), torchs.state_dict(like="bitsandbytes")
    assert str(first) == str(second)
    assert set(first["param_groups"][0]) == set(built(case[0])["param_groups"][0])
    for k, shape in enumerate(SHAPES):
        assert set(first["state"][k]) == {"step", NESTED}
        assert type(first["state"][k]["step"]) is int
        coded = states == "8bit" and math.prod(shape) >= 4096
        nested = first["state"][k][NESTED]
        if coded:
            assert set(nested) == set(built(case[0])["state"][k][NESTED])
        for name, value in nested.items():
            assert value.dtype is (torch.uint8 if coded and name.startswith("state") else torch.float32)
            if coded:
                assert value.shape == built(case[0])["state"][k][NESTED][name].shape
    again = over_arrays(case, states, [array.copy() for array in arrays])
    again.load_state_dict(first)
    for mine, theirs in zip(ours.state_dict()["state"].values(), again.state_dict()["state"].values(), strict=True):
        for name, buffer, _ in places(case[0]):
            coarse = states == "8bit" and name in SQUARES and buffer == 1
            wanted = numbers_of(mine, name)
            assert np.abs(wanted - numbers_of(theirs, name)).max() <= (0.02 * wanted.max() if coarse else 0)
    assert again.param_groups[0]["lr"] == ours.param_groups[0]["lr"]


def test_codes_are_of_the_maps_that_states_have() -> None:
    for case in CASES:
        opt = over_arrays(case, "8bit", arrays_like(tensors()))
        for name, code in opt._stepper.codes()[0].items():
            assert code == ("8bit_unsigned" if name in SQUARES else "8bit_signed")


@pytest.mark.parametrize("make", [over_arrays, over_tensors])
def test_older_versions_and_other_maps(make: Any) -> None:
    """States beside "step", and codes of a map that is not ours, which become numbers."""
    given = built("AdamW")
    flat = {k: {"step": 3, **entry[NESTED]} for k, entry in given["state"].items()}
    linear = torch.linspace(-1, 1, 256)
    flat[0]["qmap1"] = linear
    params = tensors()
    opt = make(CASES[0], "8bit", params if make is over_tensors else arrays_like(params))
    opt.load_state_dict({**given, "state": flat})
    found = opt.state_dict()["state"]
    wanted = values_of(flat[0], 1, "exp_avg", None)
    assert np.abs(numbers_of(found[0], "exp_avg") - wanted).max() <= 0.02
    assert np.array_equal(np.asarray(found[1]["exp_avg"]), flat[1]["state1"].numpy())


def test_a_parameter_whose_elements_lie_in_another_order() -> None:
    """Has the numbers that the codes mean; its own 8-bit codes are not given."""
    values = tensors()
    params = [torch.nn.Parameter(values[0].detach().t().contiguous().t()), *values[1:]]
    opt = schuss.torch.AdamW(params, states="8bit")
    given = built("AdamW")
    opt.load_state_dict(given)
    plain = schuss.torch.AdamW(values, states="float32")
    plain.load_state_dict(given)
    entry = opt.state[params[0]]
    codes = entry["exp_avg"].t().contiguous().numpy()
    numbers = widen(codes.reshape(-1), entry["exp_avg_absmax"].numpy(), True).reshape(codes.shape).T
    assert np.abs(numbers - plain.state[values[0]]["exp_avg"].numpy()).max() <= 0.02
    with pytest.raises(ValueError, match="contiguous"):
        opt.state_dict(like="bitsandbytes")


def spoiled(change: Any) -> dict[str, Any]:
    given = built("AdamW")
    change(given["state"][0][NESTED], given)
    return given


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n, _: n.pop("absmax1"), "absmax1"),
        (lambda n, _: n.pop("qmap2"), "qmap2"),
        (lambda n, _: n.pop("state2"), "state2"),
        (lambda n, _: n.update(absmax1=n["absmax1"][:-1]), "absmax1"),
        (lambda n, _: n.update(qmap1=n["qmap1"][:16]), "qmap1"),
        (lambda n, _: n.update(qmap1=n["qmap1"] * math.nan), "qmap1"),
        (lambda n, _: n.update(state1=n["state1"][:-1]), "absmax1|shape"),
        (lambda _, g: g["param_groups"][0].pop("betas"), "betas"),
        (lambda _, g: g["param_groups"][0].update(betas=(0.9,)), "betas"),
        (lambda _, g: g["param_groups"][0].update(betas=(0.9, 2.0)), "betas|beta2"),
        (lambda _, g: g["state"].update({0: {"step": 1, NESTED: 3}}), NESTED),
        (lambda _, g: g["param_groups"].append({}), "groups"),
    ],
)
@pytest.mark.parametrize("make", [over_arrays, over_tensors])
def test_what_does_not_fit_is_refused_and_changes_nothing(make: Any, change: Any, words: str) -> None:
    params = tensors()
    opt = make(CASES[0], "8bit", params if make is over_tensors else arrays_like(params))
    opt.load_state_dict(built("AdamW", seed=5))
    before = str(opt.state_dict())
    with pytest.raises(ValueError, match=words):
        opt.load_state_dict(spoiled(change))
    assert str(opt.state_dict()) == before


@pytest.mark.parametrize("name", ["state1", "absmax1"])
def test_two_means_are_two_halves(name: str) -> None:
    for spoilt in (torch.tensor(1.0), torch.zeros(3, 5600)):
        given = built("AdEMAMix")
        given["state"][0][NESTED][name] = spoilt
        with pytest.raises(ValueError, match="two halves"):
            over_arrays(CASES[2], "8bit", arrays_like(tensors())).load_state_dict(given)


def test_optimizers_and_hyperparameters_that_it_lacks_are_refused() -> None:
    params = tensors()
    with pytest.raises(ValueError, match="nadam"):
        schuss.NAdam(arrays_like(params)).load_state_dict(built("AdamW"))
    with pytest.raises(ValueError, match="lamb"):
        schuss.torch.LAMB(params).load_state_dict(built("AdamW"))
    with pytest.raises(ValueError, match="nadam"):
        schuss.NAdam(arrays_like(params)).state_dict(like="bitsandbytes")
    for make, options, words in [
        (schuss.Adam, {"weight_decay": 0.1}, "decoupled_weight_decay"),
        (schuss.AdamW, {"amsgrad": True}, "amsgrad"),
        (schuss.AdamW, {"maximize": True}, "maximize"),
        (schuss.AdamW, {"dialect": "keras"}, "dialect"),
        (schuss.SGD, {"lr": 0.1}, "momentum"),
        (schuss.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, "nesterov"),
        (schuss.RMSProp, {"centered": True}, "centered"),
        (schuss.AdaGrad, {"lr_decay": 0.1}, "lr_decay"),
    ]:
        with pytest.raises(ValueError, match=words):
            make(arrays_like(params), **options).state_dict(like="bitsandbytes")
    with pytest.raises(ValueError, match="like"):
        schuss.torch.AdamW(params).state_dict(like="numpy")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_parameters_in_float64(case: Any) -> None:
    """Take the numbers of the codes; a parameter whose entry is empty has made no step."""
    given = built(case[0])
    given["state"][2] = {}
    params = [torch.nn.Parameter(p.detach().double()) for p in tensors()]
    for opt in (over_arrays(case, "float32", arrays_like(params)), over_tensors(case, "float32", params)):
        opt.load_state_dict(given)
        found = opt.state_dict()["state"]
        for name, buffer, half in places(case[0]):
            wanted = values_of(given["state"][0], buffer, name, half)
            assert np.asarray(found[0][name]).dtype == np.float64
            assert np.abs(np.asarray(found[0][name]) - wanted).max() <= 1e-6
        assert not found.get(2) or int(found[2]["step"]) == 0
        assert set(opt.state_dict(like="bitsandbytes")["state"][0]) == {"step", NESTED}


def test_before_the_first_step() -> None:
    """No states on either side: groups alone."""
    for case in CASES:
        given = {"state": {}, "param_groups": built(case[0])["param_groups"]}
        for opt in (over_arrays(case, "8bit", arrays_like(tensors())), over_tensors(case, "8bit", tensors())):
            opt.load_state_dict(given)
            assert opt.param_groups[0]["lr"] == 0.02
            assert not {"t_alpha", "t_beta3"} & set(opt.param_groups[0])
            assert opt.state_dict(like="bitsandbytes")["param_groups"][0]["lr"] == 0.02


# -- the real thing --------------------------------------------------------------------------------------------------


def step_theirs(opt: Any, params: list[Any], grads: list[Any]) -> None:
    step_tensors(opt, params, grads)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("states", PRECISIONS)
@pytest.mark.parametrize("door", [over_arrays, over_tensors])
def test_with_the_package_itself(case: Any, states: str, door: Any) -> None:
    """Its state goes into ours, and both go on alike; ours goes into its, and both go on alike."""
    bnb = pytest.importorskip("bitsandbytes")
    theirs = tensors()
    its = getattr(bnb.optim, case[2])(theirs, **case[4])
    for t in range(3):
        step_theirs(its, theirs, gradients(t))
    params = [torch.nn.Parameter(p.detach().clone()) for p in theirs]
    mine: list[Any] = params if door is over_tensors else arrays_like(params)
    opt = door(case, states, mine)
    opt.load_state_dict(its.state_dict())

    def both_step(t: int) -> float:
        before = [p.detach().numpy().copy() for p in theirs]
        step_theirs(its, theirs, gradients(t))
        if door is over_tensors:
            step_tensors(opt, params, gradients(t))
        else:
            opt.step(gradients(t))
        moved = [p.detach().numpy() - b for p, b in zip(theirs, before, strict=True)]
        ours = [np.asarray(p.detach() if isinstance(p, torch.Tensor) else p) for p in mine]
        apart = [np.abs(m - p.detach().numpy()) for m, p in zip(ours, theirs, strict=True)]
        # Of Lion, some signs may differ: where a mean is near 0.
        return sum(float(a.sum()) for a in apart) / sum(float(np.abs(m).sum()) for m in moved)

    tolerance = 1e-5 if states != "bfloat16" and case[0] not in ("RMSProp", "AdaGrad") else 0.02
    assert both_step(3) <= tolerance
    # And the way back.
    opt_state = opt.state_dict(like="bitsandbytes")
    its = getattr(bnb.optim, case[2])(theirs, **case[4])
    for p, m in zip(theirs, mine, strict=True):
        p.data.copy_(m.detach() if isinstance(m, torch.Tensor) else torch.from_numpy(m))
    its.load_state_dict(opt_state)
    assert its.state[theirs[0]]["state1"].dtype is (torch.uint8 if states == "8bit" else torch.float32)
    assert its.state[theirs[0]]["step"] == 4
    assert both_step(4) <= tolerance
    assert its.state[theirs[0]]["step"] == 5
    assert all(bool(p.isfinite().all()) for p in theirs)


def test_maps_are_those_of_the_package() -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    for signed in (True, False):
        theirs = functional.create_dynamic_map(signed=signed).numpy()
        assert np.allclose(theirs, dynamic_map(signed), rtol=2**-22, atol=0)
