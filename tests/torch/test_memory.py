"""Where tensors lie: in which order, dtype and device; what shares memory, what is sparse, and what is replaced."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

import schuss  # noqa: E402
import schuss.torch  # noqa: E402
from tests.torch.infos import ALL, Info  # noqa: E402
from tests.torch.models import clones, difference, give, parameters, same_bits, train  # noqa: E402


def askew() -> list[Any]:
    """Parameters whose elements lie one after the other, but not in the order of their dimensions."""
    images = torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last)
    volumes = torch.randn(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d)
    turned = [torch.randn(5, 3).t(), torch.randn(2, 3, 4).permute(2, 0, 1), torch.randn(7, 1, 3).transpose(0, 2)]
    return [torch.nn.Parameter(p) for p in (images, volumes, *turned)]


@pytest.mark.parametrize("info", [info for info in ALL if info.orders], ids=str)
def test_parameters_that_lie_in_another_order(info: Info) -> None:
    """They are updated where they are, and states lie as they do, as torch's."""
    torch.manual_seed(0)
    params = askew()
    memory = [p.data_ptr() for p in params]
    plain = [torch.nn.Parameter(p.detach().clone(memory_format=torch.contiguous_format)) for p in params]
    opt = getattr(schuss.torch, info.name)(params, **info.options)
    other = getattr(schuss.torch, info.name)(plain, **info.options)
    for t in range(5):
        give(params, plain, seed=t)
        assert [p.grad.stride() for p in params] == [p.stride() for p in params]
        opt.step()
        other.step()
    assert [p.data_ptr() for p in params] == memory
    by_norms = ("LARS", "LAMB", "NovoGrad", "Prodigy")  # whose sums are made in the order of elements
    assert difference(params, plain) <= 1e-5 if info.name in by_norms else same_bits(params, plain)
    for p in params:
        for value in opt.state[p].values():
            assert value.dim() == 0 or value.numel() != p.numel() or value.stride() == p.stride()
    again = getattr(schuss.torch, info.name)(params, **info.options)
    again.load_state_dict(copy.deepcopy(other.state_dict()))
    train(again, params, 5, 7)
    train(other, plain, 5, 7)
    assert difference(params, plain) <= 1e-5 if info.name in by_norms else same_bits(params, plain)


@pytest.mark.parametrize("info", [info for info in ALL if not info.orders], ids=str)
def test_orders_are_refused_by_rules_that_look_at_rows_and_columns(info: Info) -> None:
    params = [torch.nn.Parameter(torch.randn(5, 3).t())]
    opt = getattr(schuss.torch, info.name)(params, **info.options)
    before = clones(params)
    give(params, seed=0)
    with pytest.raises(ValueError, match=r"param_groups\[0\]\['params'\]\[0\] has strides .* expected a contiguous"):
        opt.step()
    assert same_bits(params, before)
    assert not opt.state


def test_parameters_with_gaps_are_refused() -> None:
    for p in (torch.randn(10, 10)[:, ::2], torch.randn(10)[::2], torch.randn(5, 1).expand(5, 3)):
        p = p.detach()
        p.grad = torch.zeros_like(p)
        opt = schuss.torch.AdamW([p])
        before = p.clone()
        with pytest.raises(ValueError, match="expected elements that lie one after the other"):
            opt.step()
        assert torch.equal(p, before)


def test_a_gradient_in_another_order_is_refused() -> None:
    p = torch.nn.Parameter(torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last))
    q = torch.nn.Parameter(torch.randn(3))
    opt = schuss.torch.AdamW([q, p])
    train(opt, [q, p], 0, 2)
    before = clones([q, p])
    q.grad, p.grad = torch.ones(3), torch.randn(4, 3, 5, 5)
    with pytest.raises(ValueError, match=r"\[1\]\.grad has strides .* expected those of its parameter"):
        opt.step()
    assert same_bits([q, p], before)
    assert float(opt.state[q]["step"]) == 2


def test_a_gradient_that_lies_otherwise_than_a_contiguous_parameter() -> None:
    """Is copied, as by torch's own steps."""
    for grad in (torch.randn(3, 5).t(), torch.ones(()).expand(5, 3), torch.randn(5, 6)[:, ::2]):
        p, q = parameters([(5, 3)])[0], parameters([(5, 3)])[0]
        p.grad, q.grad = grad, grad.contiguous()
        for one in (p, q):
            schuss.torch.AdamW([one]).step()
        assert same_bits([p], [q])


def test_gradients_of_one_element_with_the_sign_apart() -> None:
    z = torch.complex(torch.tensor([1.0]), torch.tensor([2.0])).conj()
    for grad in (z.imag, torch.complex(torch.ones(3), torch.ones(3)).conj().imag):
        assert grad.is_neg()
        p = torch.nn.Parameter(torch.zeros(grad.shape))
        p.grad = grad
        schuss.torch.SGD([p], lr=1.0).step()
        assert torch.equal(p.detach(), -grad.resolve_neg())


def test_memory_that_is_replaced_is_followed() -> None:
    """`p.data = ...` by the user, by `Module.to` and the like; states stay."""
    params = parameters([(5, 3), (7,), (1,)])
    plain = clones(params)
    opt, other = schuss.torch.AdamW(params, lr=0.1), schuss.torch.AdamW(plain, lr=0.1)
    for t in range(6):
        train(opt, params, t, t + 1)
        train(other, plain, t, t + 1)
        if t == 2:
            old = params[0].data
            params[0].data = old.clone()
            stays = old.clone()
        elif t == 3:
            with torch.no_grad():
                params[1].set_(torch.empty(20)[3:10].copy_(params[1]))
        elif t == 4:
            params[0].data = params[0].data.t().contiguous().t()
    assert torch.equal(old, stays)
    assert same_bits(params, plain)
    entries = {p: dict(opt.state[p]) for p in params}
    backup = [p.data for p in params]
    for p in params:  # as who swaps averages in and out
        p.data = p.data + 1
    train(opt, params, 6, 7)
    for p, old in zip(params, backup, strict=True):
        p.data = old
    train(opt, params, 7, 8)
    assert all(opt.state[p][name] is value for p in params for name, value in entries[p].items())
    params[0].data = params[1].data[:1].expand(5, 3)
    with pytest.raises(ValueError, match="has strides"):
        opt.step()
    for p, old in zip(params, backup, strict=True):
        p.data = old
    params[2].data = params[1].data[:1]
    with pytest.raises(ValueError, match="overlaps"):
        opt.step()
    params[2].data = backup[2]
    for t in range(6, 8):
        train(other, plain, t, t + 1)
    train(opt, params, 8, 9)
    assert float(opt.state[params[0]]["step"]) == 9


def test_dtype_that_is_changed_is_followed() -> None:
    model = torch.nn.Linear(5, 3)
    opt = schuss.torch.AdamW(model.parameters(), lr=0.1)
    train(opt, list(model.parameters()), 0, 2)
    moment = opt.state[model.weight]["exp_avg"].clone()
    model.double()
    before = clones(list(model.parameters()))
    other = torch.optim.AdamW(before, lr=0.1, foreach=False)
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(opt, list(model.parameters()), 2, 4)
    train(other, before, 2, 4)
    assert opt.state[model.weight]["exp_avg"].dtype == torch.float64
    assert moment.dtype == torch.float32
    assert difference(list(model.parameters()), before) <= 1e-9


def test_shape_that_is_changed_is_refused() -> None:
    params = parameters([(5, 3)])
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 2)
    params[0].data = torch.zeros(2, 3)
    params[0].grad = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="must be of shape"):
        opt.step()
    assert not params[0].detach().any()


def test_several_dtypes_in_one_optimizer() -> None:
    single, double = (parameters([(5, 3), (7,)], dtype) for dtype in (torch.float32, torch.float64))
    params = [p for pair in zip(single, double, strict=True) for p in pair]
    theirs = clones(params)
    opt, torch_opt = schuss.torch.AdamW(params, lr=0.1), torch.optim.AdamW(theirs, lr=0.1, foreach=False)
    for t in range(10):
        give(params, theirs, seed=t)
        if t == 4:
            params[0].grad = params[2].grad = theirs[0].grad = theirs[2].grad = None
        opt.step()
        torch_opt.step()
    assert difference(params, theirs) <= 1e-6
    assert [e["exp_avg"].dtype for e in opt.state.values()] == [p.dtype for p in params]
    give(params, seed=99)
    before = clones(params)
    params[3].grad = torch.zeros(7, dtype=torch.float64).to_sparse()
    params[1].grad = torch.zeros(5, 3, dtype=torch.float64).to_sparse(2)
    with pytest.raises(ValueError, match="sparse in 2 dimensions"):
        opt.step()
    assert same_bits(params, before), "neither dtype's parameters have made the step"
    with pytest.raises(TypeError, match="expected one dtype"):
        schuss.torch.Prodigy(params).step()


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32], ids=str)
def test_dtypes_that_are_refused(dtype: Any) -> None:
    p = torch.ones(3, dtype=dtype)
    p.grad = torch.ones(3, dtype=dtype) if dtype.is_complex else None
    with pytest.raises(TypeError, match=f"is {dtype}, expected one of"):
        schuss.torch.AdamW([p]).step()


def test_parameters_that_share_memory_are_refused() -> None:
    memory = torch.zeros(10)
    p, q = memory[:6], memory[5:]
    p.grad, q.grad = torch.ones(6), torch.ones(5)
    with pytest.raises(ValueError, match="overlaps"):
        schuss.torch.AdamW([p, q]).step()


def test_gradients_that_share_memory_with_what_is_written() -> None:
    p = parameters([(5, 3)])[0]
    opt = schuss.torch.AdamW([p])
    train(opt, [p], 0, 1)
    before = p.detach().clone()
    for grad in (p.detach(), opt.state[p]["exp_avg"]):
        p.grad = grad
        with pytest.raises(ValueError, match="shares memory"):
            opt.step()
        assert torch.equal(p.detach(), before)


def test_a_parameter_of_two_layers() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    other = copy.deepcopy(model)
    opt = schuss.torch.AdamW(model.parameters(), lr=0.1)
    torch_opt = torch.optim.AdamW(other.parameters(), lr=0.1)
    for _ in range(3):
        for one, optimizer in ((model, opt), (other, torch_opt)):
            optimizer.zero_grad()
            one(torch.ones(2, 4)).square().sum().backward()
            optimizer.step()
    assert len(opt.param_groups[0]["params"]) == 3
    assert difference(list(model.parameters()), list(other.parameters())) <= 1e-5


def test_empty_parameters() -> None:
    params = [torch.nn.Parameter(torch.zeros(0, 3)), *parameters([(3,)])]
    opt = schuss.torch.AdamW(params)
    before = clones(params)
    train(opt, params, 0, 3)
    assert not torch.equal(params[1], before[1])
    assert opt.state[params[0]]["exp_avg"].shape == (0, 3)


def test_tensors_of_classes_of_their_own() -> None:
    class Mine(torch.nn.Parameter):  # type: ignore[misc]
        pass

    p, q = Mine(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    p.grad, q.grad = torch.ones(5), torch.ones(5)
    opt = schuss.torch.AdamW([p, q])
    opt.step()
    opt.step()
    assert torch.equal(p.detach(), q.detach())


# -- sparse gradients --------------------------------------------------------------------------------------------------


def sparse(dtype: Any, seed: int) -> Any:
    """A gradient of some rows of (20, 7), with rows that come twice."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, 15, (1, 9), generator=generator)
    values = torch.randn(9, 7, generator=generator, dtype=torch.float64).to(dtype)
    return torch.sparse_coo_tensor(index, values, (20, 7), check_invariants=True)


@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.filterwarnings("ignore:Sparse invariant")
def test_sparse_gradients_follow_torch(name: str, dtype: Any) -> None:
    ours = [torch.nn.Embedding(20, 7, sparse=True, dtype=dtype).weight]
    theirs = clones(ours)
    opt, torch_opt = getattr(schuss.torch, name)(ours, lr=0.1), getattr(torch.optim, name)(theirs, lr=0.1)
    for t in range(200):
        ours[0].grad, theirs[0].grad = sparse(dtype, t), sparse(dtype, t)
        if t % 50 == 49 and name != "SparseAdam":  # now and then of all rows
            give(ours, theirs, seed=t)
        opt.step()
        torch_opt.step()
    assert difference(ours, theirs) <= (1e-5 if dtype is torch.float32 else 1e-11)


@pytest.mark.parametrize("info", ALL, ids=str)
def test_sparse_gradients_where_the_rule_goes_by_rows(info: Info) -> None:
    params = [torch.nn.Parameter(torch.ones(20, 7))]
    opt = getattr(schuss.torch, info.name)(params, **info.options)
    params[0].grad = sparse(torch.float32, 0)
    if info.rows:
        opt.step()
        assert (params[0][15:] == 1).all()
        assert not (params[0][:15] == 1).all()
    else:
        with pytest.raises(TypeError, match=r"\.grad is of some rows only"):
            opt.step()
        assert (params[0] == 1).all()


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_gradients_that_are_refused() -> None:
    p = torch.nn.Parameter(torch.ones(20, 7))
    opt = schuss.torch.SGD([p])
    p.grad = torch.ones(20, 7).to_sparse(2)
    with pytest.raises(ValueError, match="is sparse in 2 dimensions, expected 1"):
        opt.step()
    assert (p == 1).all()


# -- other devices -----------------------------------------------------------------------------------------------------


def test_other_devices_are_left_to_torch() -> None:
    """Here the one without memory."""
    here, there = parameters([(5, 3)])[0], torch.nn.Parameter(torch.empty(4, device="meta"))
    alone = clones([here])
    opt = schuss.torch.AdamW([{"params": [there], "lr": 0.5}, {"params": [here]}], lr=0.1)
    other = schuss.torch.AdamW(alone, lr=0.1)
    assert not opt._step_supports_amp_scaling
    for t in range(3):
        give([here], alone, seed=t)
        there.grad = torch.empty(4, device="meta")
        opt.step()
        other.step()
    assert same_bits([here], alone)
    assert opt.state[there]["exp_avg"].device.type == "meta"
    assert float(opt.state[there]["step"]) == 3
    assert set(opt.state_dict()["state"]) == {0, 1}
    opt.load_state_dict(copy.deepcopy(opt.state_dict()))
    there.grad = None
    opt.step()
    assert float(opt.state[there]["step"]) == 3
    assert float(opt.state[here]["step"]) == 4
    opt.clip_norm = 1.0
    with pytest.raises(ValueError, match="clip_norm and grad_scale must not be given"):
        opt.step()


def test_other_devices_are_refused_where_torch_has_no_such_optimizer() -> None:
    there = torch.nn.Parameter(torch.empty(4, device="meta"))
    opt = schuss.torch.Lion([there])
    with pytest.raises(ValueError, match=r"param_groups\[0\]\['params'\]\[0\] is on device meta, expected cpu"):
        opt.step()


@pytest.mark.parametrize("name", ["AdamW", "SGD", "Adadelta"])
def test_all_parameters_elsewhere(name: str) -> None:
    there = [torch.nn.Parameter(torch.empty(4, 3, device="meta"))]
    opt = getattr(schuss.torch, name)(there, lr=0.1)
    there[0].grad = torch.empty(4, 3, device="meta")
    schedule = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
    opt.step()
    schedule.step()
    opt.step()
    assert opt._engine.elsewhere._optimizer.param_groups[0]["lr"] == 0.05
    with pytest.raises(ValueError, match="states, master and rounding are of steps"):
        getattr(schuss.torch, name)(there, states="8bit").step()


# -- threads and interrupts --------------------------------------------------------------------------------------------


def test_two_threads_in_one_optimizer() -> None:
    """One of them makes the step, the other is told; never both at once."""
    params = parameters([(400, 1000)])
    opt = schuss.torch.AdamW(params)
    give(params, seed=0)
    opt.step()
    made, refused = [], []

    def steps() -> None:
        for _ in range(20):
            try:
                opt.step()
                made.append(1)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=steps) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert float(opt.state[params[0]]["step"]) == 1 + len(made)
    assert len(made) + len(refused) == 40
    assert all("is in a step" in error for error in refused)


WITHOUT_TABLE = """
import torch
for kind in torch.Tensor.__mro__:
    if "__dlpack_c_exchange_api__" in vars(kind):
        delattr(kind, "__dlpack_c_exchange_api__")
assert not hasattr(torch.Tensor, "__dlpack_c_exchange_api__")
import schuss.torch
params = [torch.nn.Parameter(p) for p in (torch.randn(5, 3), torch.randn(4, 6).t(), torch.randn(1))]
theirs = [torch.nn.Parameter(p.detach().clone()) for p in params]
opt, torch_opt = schuss.torch.AdamW(params, lr=0.1), torch.optim.AdamW(theirs, lr=0.1)
for t in range(9):
    for p, q in zip(params, theirs):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    if t == 4:
        params[0].data = params[0].data.clone()
    if t == 6:
        params[2].grad = theirs[2].grad = None
    opt.step()
    torch_opt.step()
for p, q in zip(params, theirs):
    torch.testing.assert_close(p, q)
"""


def test_torch_without_the_table_of_functions() -> None:
    """As before version 2.10: tensors are asked in Python."""
    subprocess.run([sys.executable, "-c", WITHOUT_TABLE], check=True)


def test_optimizers_of_many_threads() -> None:
    """As where gradients arrive from another thread, parameter by parameter."""
    params = parameters([(50, 40)] * 8)
    others = clones(params)
    optimizers = [schuss.torch.AdamW([p]) for p in params]
    opt = schuss.torch.AdamW(others)
    for t in range(5):
        give(params, others, seed=t)
        threads = [threading.Thread(target=one.step) for one in reversed(optimizers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        opt.step()
    assert same_bits(params, others)
