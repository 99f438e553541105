"""What torch's users do with optimizers: groups, closures, hooks, schedulers, copies, pickles, and what is refused."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")

import schuss  # noqa: E402
import schuss.torch  # noqa: E402
from schuss.errors import DivergenceError  # noqa: E402
from tests.optim.test_rules_torch import scalars_in_double  # noqa: E402
from tests.torch.infos import ALL, Info  # noqa: E402
from tests.torch.models import clones, difference, give, parameters, same_bits, train  # noqa: E402

__all__ = ["scalars_in_double"]
SHAPES = [(5, 3), (7,), (1,)]


def both(name: str = "AdamW", **options: Any) -> tuple[Any, list[Any], Any, list[Any]]:
    ours = parameters(SHAPES, torch.float64)
    theirs = clones(ours)
    return (
        getattr(schuss.torch, name)(ours, **options),
        ours,
        getattr(torch.optim, name)(theirs, foreach=False, **options),
        theirs,
    )


# -- import ------------------------------------------------------------------------------------------------------------


def test_import_of_schuss_leaves_torch_alone() -> None:
    code = "import sys, schuss; assert 'torch' not in sys.modules; assert 'schuss.torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_without_torch_says_so() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport schuss\nimport schuss.torch"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: schuss.torch needs torch" in run.stderr


# -- construction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info", ALL, ids=str)
def test_is_torchs(info: Info) -> None:
    params = parameters(info.shapes)
    opt = getattr(schuss.torch, info.name)(params, **info.options)
    assert isinstance(opt, torch.optim.Optimizer)
    assert type(opt).__module__ == "schuss.torch" or type(opt).__module__.startswith("schuss.torch.")
    assert info.name in repr(opt)
    assert "schuss." in type(opt).__doc__
    assert opt.step.__func__ is schuss.torch.Optimizer.step, "not wrapped"


def test_group_dicts_are_kept() -> None:
    p, q = parameters([(3,), (4,)])
    first, second = {"params": [p], "lr": 0.1}, {"params": q}
    opt = schuss.torch.SGD([first, second], lr=0.5)
    assert opt.param_groups[0] is first
    assert opt.param_groups[1] is second
    give([p, q], seed=0)
    before, other = p.detach().clone(), q.detach().clone()
    opt.step()
    torch.testing.assert_close(p.detach(), before - 0.1 * p.grad)
    torch.testing.assert_close(q.detach(), other - 0.5 * q.grad)
    first["lr"] = 0.0
    before = p.detach().clone()
    opt.step()
    assert torch.equal(p.detach(), before)
    assert opt.param_groups[0] is first


def test_named_parameters() -> None:
    model = torch.nn.Linear(3, 2)
    opt = schuss.torch.AdamW(model.named_parameters())
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    model(torch.ones(1, 3)).sum().backward()
    opt.step()
    assert opt.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    model.weight.grad = torch.ones(2, 3).to_sparse(2)
    with pytest.raises(ValueError, match=r"^weight\.grad is sparse in 2 dimensions"):
        opt.step()


def test_one_tensor_that_is_no_parameter() -> None:
    """As an optimizer of offloaded parameters makes one for each."""
    p = torch.ones(10)
    group = {"params": p, "lr": 0.5}
    opt = schuss.torch.SGD(group for group in [group])
    assert opt.param_groups[0] is group
    p.grad = torch.ones(10)
    opt.step()
    assert torch.equal(p, torch.full((10,), 0.5))


@pytest.mark.parametrize("name", ["AdamW", "Lion"])
def test_how_torch_makes_steps_has_no_effect(name: str) -> None:
    ours = parameters(SHAPES)
    for options in ({"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}):
        others = parameters(SHAPES)
        getattr(schuss.torch, name)(others, **options)
    assert same_bits(ours, others)


@pytest.mark.parametrize("name", ["capturable", "differentiable"])
def test_what_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be False"):
        schuss.torch.AdamW(parameters(SHAPES), **{name: True})
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 2)
    before = clones(params)
    opt.param_groups[0][name] = True
    with pytest.raises(ValueError, match=f"^{name} must be False"):
        train(opt, params, 2, 3)
    assert same_bits(params, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must be a number in"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] must be a number in"),
        ({"eps": float("nan")}, "eps must be a number in"),
        ({"weight_decay": "much"}, "weight_decay must be"),
        ({"lr": torch.tensor(-1.0)}, "lr must be a number in"),
        ({"amsgrad": 3}, "amsgrad must be"),
    ],
    ids=str,
)
def test_bad_hyperparameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        schuss.torch.AdamW(parameters(SHAPES), **options)
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 2)
    with pytest.raises((ValueError, TypeError), match=message):
        opt.add_param_group({"params": parameters([(2,)]), **options})
    assert len(opt.param_groups) == 1
    before, group = clones(params), dict(opt.param_groups[0])
    opt.param_groups[0].update(options)
    for _ in range(2):
        with pytest.raises((ValueError, TypeError), match=message):
            train(opt, params, 2, 3)
    assert same_bits(params, before)
    opt.param_groups[0].update(group)
    train(opt, params, 2, 3)
    assert not same_bits(params, before)
    assert float(opt.state[params[0]]["step"]) == 3


def test_arguments_that_it_has_not() -> None:
    with pytest.raises(TypeError, match="AdamW: got an unexpected keyword argument 'momentum'"):
        schuss.torch.AdamW(parameters(SHAPES), momentum=0.9)
    with pytest.raises(TypeError, match="AdamW: missing a required argument: 'params'"):
        schuss.torch.AdamW()
    with pytest.raises(TypeError, match="should be an iterable"):
        schuss.torch.AdamW(torch.ones(3))
    with pytest.raises(ValueError, match="empty parameter list"):
        schuss.torch.AdamW([])
    p = parameters([(3,)])[0]
    with pytest.raises(ValueError, match="has a parameter twice"), pytest.warns(UserWarning, match="duplicate"):
        schuss.torch.AdamW([p, p])
    with pytest.raises(ValueError, match=r"shape \(5, 3, 1\), expected a matrix"):
        schuss.torch.Muon(parameters([(5, 3, 1)]))
    with pytest.raises(TypeError, match="make one of these"):
        schuss.torch.Optimizer(parameters(SHAPES))


def test_missing_hyperparameter() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 1)
    del opt.param_groups[0]["lr"]
    with pytest.raises(ValueError, match="'lr'"):
        train(opt, params, 1, 2)


# -- groups ------------------------------------------------------------------------------------------------------------


def test_groups_and_a_group_that_is_added() -> None:
    ours = parameters([(5, 3), (7,), (4,)], torch.float64)
    theirs = clones(ours)
    made = []
    for module, params in ((schuss.torch, ours), (torch.optim, theirs)):
        opt = module.AdamW(
            [{"params": params[:1], "lr": 0.1, "weight_decay": 0.3}, {"params": [params[1]], "betas": (0.5, 0.7)}],
            lr=0.01,
        )
        train(opt, params[:2], 0, 5)
        opt.add_param_group({"params": params[2:], "lr": 0.05, "mine": ["anything"]})
        train(opt, params, 5, 10)
        made.append(opt)
    assert difference(ours, theirs) <= 1e-12
    assert [float(made[0].state[p]["step"]) for p in ours] == [10, 10, 5]
    with pytest.raises(ValueError, match="more than one parameter group"):
        made[0].add_param_group({"params": [ours[0]]})


def test_a_list_of_params_that_is_changed_in_place() -> None:
    ours = parameters([(5, 3), (7,)], torch.float64)
    theirs = clones(ours)
    for module, params in ((schuss.torch, ours), (torch.optim, theirs)):
        opt = module.AdamW(params[:1], lr=0.1)
        train(opt, params, 0, 3)
        opt.param_groups[0]["params"].append(params[1])
        train(opt, params, 3, 6)
        del opt.param_groups[0]["params"][0]
        train(opt, params, 6, 9)
    assert difference(ours, theirs) <= 1e-12


# -- gradients that come and go ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam", "RAdam", "Adagrad", "Rprop", "Adafactor"])
def test_parameters_without_a_gradient_in_some_steps(name: str, scalars_in_double: None) -> None:
    """Frozen at first, frozen later, and now and then without one: each counts its own steps."""
    options = {"momentum": 0.9} if name == "SGD" else {}
    opt, ours, torch_opt, theirs = both(name, **options)
    for t in range(20):
        give(ours, theirs, seed=t)
        for params in (ours, theirs):
            if t < 4 or t % 5 == 2:
                params[1].grad = None
            if 8 < t < 15:
                params[0].grad = None
            if t == 17:
                for p in params:
                    p.grad = None
        opt.step()
        torch_opt.step()
    assert difference(ours, theirs) <= 1e-11
    mine, wanted = opt.state_dict()["state"], torch_opt.state_dict()["state"]
    if name != "SGD":
        assert [float(e["step"]) for e in mine.values()] == [float(wanted[k]["step"]) for k in mine]
    again = getattr(schuss.torch, name)(ours, **options)
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(again, ours, 20, 25)
    train(torch_opt, theirs, 20, 25)
    assert difference(ours, theirs) <= 1e-11


def test_never_stepped_parameters_have_no_states() -> None:
    params = parameters(SHAPES)
    params[1].requires_grad_(False)
    opt = schuss.torch.AdamW(params)
    opt.step()
    assert not opt.state
    give(params, seed=0)
    params[1].grad = None
    opt.step()
    assert list(opt.state_dict()["state"]) == [0, 2]
    assert params[1] not in opt.state


def test_memory_of_groups_and_of_parameters_that_came_later() -> None:
    """Prodigy's d is of all parameters; NAdam's product of momenta is each parameter's own."""
    for name in ("Prodigy", "NAdam", "ScheduleFreeAdamW"):
        params = parameters(SHAPES)
        opt = getattr(schuss.torch, name)(params)
        for t in range(6):
            give(params, seed=t)
            if t < 3:
                params[2].grad = None
            opt.step()
        other = clones(params)
        again = getattr(schuss.torch, name)(other)
        again.load_state_dict(copy.deepcopy(opt.state_dict()))
        train(opt, params, 6, 12)
        train(again, other, 6, 12)
        assert same_bits(params, other), name


# -- closures, hooks, zero_grad ----------------------------------------------------------------------------------------


def test_closure_runs_with_gradients_and_its_loss_is_returned() -> None:
    p = torch.nn.Parameter(torch.tensor([3.0]))
    opt = schuss.torch.SGD([p], lr=0.1)
    seen = []

    def closure() -> Any:
        opt.zero_grad()
        seen.append(torch.is_grad_enabled())
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = opt.step(closure)
    assert seen == [True]
    assert loss.item() == 9
    assert p.item() == pytest.approx(3 - 0.6)
    assert opt.step(closure=closure).item() == pytest.approx(2.4**2)


def test_hooks() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    give(params, seed=0)
    seen: list[Any] = []
    handles = [
        opt.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", o is opt))),
        opt.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", float(o.state[params[0]]["step"])))),
        register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("all")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append("all too")),
    ]
    opt.step()
    opt.step()
    assert seen == ["all", ("pre", True), ("post", 1.0), "all too", "all", ("pre", True), ("post", 2.0), "all too"]
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(seen) == 8
    assert float(opt.state[params[0]]["step"]) == 3


def test_hooks_of_states() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 1)
    seen = []
    opt.register_state_dict_pre_hook(lambda o: seen.append("save"))
    opt.register_state_dict_post_hook(lambda o, d: {**d, "mine": 1})
    opt.register_load_state_dict_pre_hook(lambda o, d: seen.append(d["state"][0]["exp_avg"].shape))
    opt.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    saved = opt.state_dict()
    assert saved["mine"] == 1
    opt.load_state_dict(saved)
    assert seen == ["save", (5, 3), "loaded"]


def test_profiler_sees_steps() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 1)
    with torch.profiler.profile() as profile:
        opt.step()
    assert any(event.name == "Optimizer.step#AdamW.step" for event in profile.events())


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none: bool) -> None:
    opt, ours, torch_opt, theirs = both()
    for t in range(5):
        for params, optimizer in ((ours, opt), (theirs, torch_opt)):
            optimizer.zero_grad(set_to_none=set_to_none)
            for p in params:
                (p * (t + 1)).sum().backward()
            optimizer.step()
    assert difference(ours, theirs) <= 1e-12
    opt.zero_grad(set_to_none=set_to_none)
    assert all((p.grad is None) if set_to_none else not p.grad.any() for p in ours)


def test_step_within_a_hook_of_backward() -> None:
    """One optimizer a parameter, which steps as soon as its gradient is there."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    other = copy.deepcopy(model)
    optimizers = {p: schuss.torch.AdamW([p], lr=0.01) for p in model.parameters()}
    seen = []

    def step(p: Any) -> None:
        optimizers[p].step()
        optimizers[p].zero_grad()
        seen.append(p)

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    opt = torch.optim.AdamW(other.parameters(), lr=0.01)
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        model(x).square().mean().backward()
        opt.zero_grad()
        other(x).square().mean().backward()
        opt.step()
    assert len(seen) == 20
    assert difference(list(model.parameters()), list(other.parameters())) < 1e-5


def test_writes_are_seen_by_autograd() -> None:
    """As after any write in place, a graph that holds the parameter's old values is refused."""
    p = torch.nn.Parameter(torch.ones(3))
    q = torch.nn.Parameter(torch.ones(3))
    opt = schuss.torch.SGD([p, q], lr=0.1)
    loss = (p * p).sum()
    other = (q * q).sum()
    p.grad = torch.ones(3)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    other.backward()  # q had no gradient, so it was not written


# -- rates -------------------------------------------------------------------------------------------------------------

SCHEDULERS: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.95}),
    ("StepLR", {"step_size": 3}),
    ("MultiStepLR", {"milestones": [3, 7]}),
    ("ConstantLR", {}),
    ("LinearLR", {}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("PolynomialLR", {"total_iters": 9}),
    ("CyclicLR", {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 4}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 20}),
    ("ReduceLROnPlateau", {"patience": 1}),
]


@pytest.mark.parametrize(("scheduler", "options"), SCHEDULERS, ids=[name for name, _ in SCHEDULERS])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_schedulers(scheduler: str, options: dict[str, Any], name: str) -> None:
    """They wrap `step`, and write rates, momenta and betas into groups."""
    opt, ours, torch_opt, theirs = both(name, lr=0.05, **({"momentum": 0.9} if name == "SGD" else {}))
    made = [getattr(torch.optim.lr_scheduler, scheduler)(o, **options) for o in (opt, torch_opt)]
    for t in range(15):
        give(ours, theirs, seed=t)
        for optimizer, schedule in zip((opt, torch_opt), made, strict=True):
            optimizer.step()
            schedule.step(*([1.0] if scheduler == "ReduceLROnPlateau" else []))
    assert opt.param_groups[0]["lr"] == torch_opt.param_groups[0]["lr"]
    assert difference(ours, theirs) <= 1e-12
    again = getattr(schuss.torch, name)(ours, lr=0.05)
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(again, ours, 15, 17)
    train(torch_opt, theirs, 15, 17)
    assert difference(ours, theirs) <= 1e-12


def test_chained_and_swa_schedulers() -> None:
    opt, ours, torch_opt, theirs = both(lr=0.05)
    from torch.optim.swa_utils import SWALR

    for optimizer, params in ((opt, ours), (torch_opt, theirs)):
        first = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=3)
        second = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        chain = torch.optim.lr_scheduler.SequentialLR(optimizer, [first, second], [3])
        for t in range(8):
            train(optimizer, params, t, t + 1)
            chain.step()
        swa = SWALR(optimizer, swa_lr=0.01, anneal_epochs=2)
        for t in range(8, 12):
            train(optimizer, params, t, t + 1)
            swa.step()
    assert difference(ours, theirs) <= 1e-12


def test_rate_as_a_tensor_that_is_written() -> None:
    rate = torch.tensor(0.1, dtype=torch.float64)
    params = parameters(SHAPES, torch.float64)
    theirs = clones(params)
    opt, torch_opt = schuss.torch.AdamW(params, lr=rate), torch.optim.AdamW(theirs, lr=rate.clone(), foreach=False)
    for t in range(6):
        train(opt, params, t, t + 1)
        train(torch_opt, theirs, t, t + 1)
        assert opt.param_groups[0]["lr"] is rate
        rate.mul_(0.5)
        torch_opt.param_groups[0]["lr"].mul_(0.5)
    assert difference(params, theirs) <= 1e-12


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info", ALL, ids=str)
def test_copies_pickles_and_files_go_on_with_the_same_bits(info: Info) -> None:
    params = parameters(info.shapes)
    opt = getattr(schuss.torch, info.name)(params, **info.options)
    opt.clip_norm = 0.5
    train(opt, params, 0, 5)
    model = torch.nn.ParameterList(params)
    copied, opt_copied = copy.deepcopy((model, opt))
    pickled, opt_pickled = pickle.loads(pickle.dumps((model, opt)))
    file = io.BytesIO()
    torch.save((model.state_dict(), opt.state_dict()), file)
    file.seek(0)
    saved, states = torch.load(file, weights_only=True)
    loaded = torch.nn.ParameterList(parameters(info.shapes))
    loaded.load_state_dict(saved)
    opt_loaded = getattr(schuss.torch, info.name)(loaded, **info.options, clip_norm=0.5)
    opt_loaded.load_state_dict(states)
    train(opt, params, 5, 10)
    for other, optimizer in ((copied, opt_copied), (pickled, opt_pickled), (loaded, opt_loaded)):
        assert optimizer.clip_norm == 0.5
        train(optimizer, list(other), 5, 10)
        assert same_bits(list(other), params)


def test_states_are_tensors_that_steps_write() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.NAdam(params, lr=0.1)
    train(opt, params, 0, 1)
    entry = opt.state[params[0]]
    held = dict(entry)
    product = float(entry["mu_product"])
    train(opt, params, 1, 3)
    assert opt.state[params[0]] is entry
    assert all(entry[name] is value for name, value in held.items())
    assert float(entry["step"]) == 3
    assert float(entry["mu_product"]) < product


@pytest.mark.parametrize("how", ["clear", "dict", "entry", "tensor", "fill", "step", "delete"])
def test_states_that_are_written_by_the_user(how: str) -> None:
    """What the user puts there counts, as with torch's optimizers."""
    opt, ours, torch_opt, theirs = both()
    for optimizer, params in ((opt, ours), (torch_opt, theirs)):
        train(optimizer, params, 0, 4)
        entry = optimizer.state[params[0]]
        if how == "clear":
            optimizer.state.clear()
        elif how == "dict":
            optimizer.state = type(optimizer.state)(dict)
        elif how == "entry":
            optimizer.state[params[0]] = {**entry, "exp_avg": torch.ones(5, 3, dtype=torch.float64)}
        elif how == "tensor":
            entry["exp_avg"] = torch.ones(5, 3, dtype=torch.float64)
        elif how == "fill":
            entry["exp_avg"].fill_(1)
        elif how == "step":
            entry["step"].fill_(1)
        else:
            del optimizer.state[params[0]]
        train(optimizer, params, 4, 8)
    assert difference(ours, theirs) <= 1e-12
    assert [float(opt.state[p]["step"]) for p in ours] == [float(torch_opt.state[p]["step"]) for p in theirs]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda d: d["state"][0].update(exp_avg=torch.ones(2)), "state.'exp_avg'. of .* must be of shape"),
        (lambda d: d["state"][0].pop("exp_avg"), "exp_avg is missing"),
        (lambda d: d["state"][0].update(step=torch.tensor(0.5)), "must be a whole number"),
        (lambda d: d["state"][0].update(exp_avg="no"), "must be a tensor"),
        (lambda d: d["param_groups"][0].update(lr=-1.0), "lr must be a number in"),
        (lambda d: d["param_groups"][0].update(capturable=True), "capturable must be False"),
        (lambda d: d["param_groups"].append({"params": []}), "different number of parameter groups"),
        (lambda d: d["param_groups"][0]["params"].pop(), "doesn't match the size"),
    ],
    ids=["shape", "missing", "step", "no tensor", "rate", "capturable", "groups", "params"],
)
def test_states_that_do_not_fit_change_nothing(change: Any, error: str) -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 3)
    wrong = copy.deepcopy(opt.state_dict())
    change(wrong)
    other = clones(params)
    again = schuss.torch.AdamW(other)
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    with pytest.raises((ValueError, TypeError), match=error):
        opt.load_state_dict(wrong)
    train(opt, params, 3, 6)
    train(again, other, 3, 6)
    assert same_bits(params, other)


def test_states_are_not_cast_to_the_parameters_dtype() -> None:
    """Torch casts what it loads; moments that hold more than a parameter can would lose it."""
    params = parameters(SHAPES, torch.float32)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 3)
    saved = copy.deepcopy(opt.state_dict())
    kept = saved["state"][0]["exp_avg"] = saved["state"][0]["exp_avg"].double() + 1e-12
    seen = []
    opt.register_load_state_dict_post_hook(lambda o: seen.append(o.state[params[0]]["exp_avg"]))
    opt.load_state_dict(saved)
    assert torch.equal(seen[0], kept)


def test_loading_copies() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 3)
    other = clones(params)
    again = schuss.torch.AdamW(other)
    again.load_state_dict(opt.state_dict())
    train(opt, params, 3, 6)
    train(again, other, 3, 6)
    assert same_bits(params, other)


def test_keys_of_an_older_state_dict_are_filled_in() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 3)
    saved = copy.deepcopy(opt.state_dict())
    del saved["param_groups"][0]["maximize"]
    opt.load_state_dict(saved)
    assert opt.param_groups[0]["maximize"] is False


# -- clipping, scaling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtypes", [(torch.float32,), (torch.float32, torch.float64)], ids=["one dtype", "two"])
def test_clip_norm(dtypes: tuple[Any, ...]) -> None:
    params = [p for dtype in dtypes for p in parameters(SHAPES, dtype)]
    theirs = clones(params)
    opt = schuss.torch.SGD(params, lr=0.1, clip_norm=1.0)
    torch_opt = torch.optim.SGD(theirs, lr=0.1)
    for t in range(5):
        give(params, theirs, seed=t)
        for p in theirs:
            p.grad = p.grad.double().to(p.dtype)
        norm = torch.linalg.vector_norm(torch.cat([p.grad.double().ravel() for p in theirs]))
        for p in theirs:
            p.grad.mul_(min(1.0, 1 / norm.item()))
        opt.step()
        torch_opt.step()
        assert opt.grad_norm == pytest.approx(norm.item())
    assert difference(params, theirs) <= 1e-6
    opt.clip_norm = None
    give(params, seed=9)
    before = clones(params)
    opt.step()
    assert torch.allclose(params[0], before[0] - 0.1 * params[0].grad)
    opt.clip_norm = -1.0
    with pytest.raises(ValueError, match="clip_norm must be"):
        opt.step()


def test_gradients_that_are_not_finite() -> None:
    params = parameters(SHAPES)
    opt = schuss.torch.AdamW(params, clip_norm=1.0)
    train(opt, params, 0, 2)
    before, states = clones(params), copy.deepcopy(opt.state_dict()["state"])
    give(params, seed=2)
    params[1].grad[3] = float("nan")
    with pytest.raises(DivergenceError, match="NaN or infinite"):
        opt.step()
    assert opt.nonfinite
    assert same_bits(params, before)
    for k, entry in opt.state_dict()["state"].items():
        assert all(torch.equal(value, states[k][name]) for name, value in entry.items())
    train(opt, params, 2, 3)
    assert float(opt.state[params[0]]["step"]) == 3


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion"])
@pytest.mark.parametrize("unscales", [False, True])
@pytest.mark.parametrize("fused", [None, True])
def test_scaler(name: str, unscales: bool, fused: bool | None) -> None:
    """With ``fused`` it leaves unscaling to the step; no step is made where a gradient is infinite."""
    options = {"lr": 0.05, "fused": fused}
    ours = parameters(SHAPES)
    theirs = clones(ours)
    opt = getattr(schuss.torch, name)(ours, **options)
    plain = getattr(schuss.torch, name)(theirs, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=4)
    made = 0
    for t in range(12):
        opt.zero_grad()
        weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(t))
        factor = float("inf") if t in (3, 8) else 1.0
        loss = (ours[0] * weights).sum() * factor + (ours[1] ** 2).sum() + ours[2].sum()
        scaler.scale(loss).backward()
        if unscales:
            scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        assert "grad_scale" not in opt.__dict__
        if factor == 1.0:
            made += 1
            plain.zero_grad()
            ((theirs[0] * weights).sum() + (theirs[1] ** 2).sum() + theirs[2].sum()).backward()
            plain.step()
        assert float(opt.state[ours[0]]["step"]) == made
    assert opt._step_supports_amp_scaling == bool(fused)
    assert scaler.get_scale() != 1024.0
    assert same_bits(ours, theirs), "scales are powers of two"


def test_grad_scale_of_the_user() -> None:
    params, others = parameters(SHAPES), parameters(SHAPES)
    opt, plain = schuss.torch.AdamW(params), schuss.torch.AdamW(others)
    give(params, others, seed=0)
    for p in params:
        p.grad *= 8
    opt.grad_scale = torch.tensor(8.0)
    opt.step()
    plain.step()
    assert same_bits(params, others)
    opt.grad_scale = torch.tensor(0.0)
    with pytest.raises(ValueError, match="grad_scale must be"):
        opt.step()


def test_schedule_free() -> None:
    for name in ("ScheduleFreeSGD", "ScheduleFreeAdamW"):
        params = parameters(SHAPES)
        arrays = [p.detach().numpy().copy() for p in params]
        opt, other = getattr(schuss.torch, name)(params, lr=0.1), getattr(schuss, name)(arrays, lr=0.1)
        opt.eval()
        opt.train()
        for t in range(6):
            give(params, seed=t)
            opt.step()
            other.step([p.grad.numpy() for p in params])
            if t == 3:
                opt.eval()
                other.eval()
                assert not opt.training
                with pytest.raises(RuntimeError, match="eval mode"):
                    opt.step()
                resting = clones(params)
                again = getattr(schuss.torch, name)(resting, lr=0.1)
                again.load_state_dict(copy.deepcopy(opt.state_dict()))
                assert not again.training
                again.train()
                opt.train()
                other.train()
                assert same_bits(params, resting)
        for p, array in zip(params, arrays, strict=True):
            assert np.array_equal(p.detach().numpy(), array)
