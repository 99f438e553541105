"""Inside what trains torch models for others: skorch, Lightning, Accelerate, torchao's offloading; where installed."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

import schuss.torch  # noqa: E402
from tests.torch.models import difference, same_bits  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))


def data() -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(256, 20, generator=generator)
    return X, (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


@pytest.mark.parametrize("name", ["AdamW", "SGD", "NAdam"])
def test_skorch(name: str) -> None:
    skorch: Any = pytest.importorskip("skorch")
    X, y = data()
    fitted = []
    for module in (schuss.torch, torch.optim):
        torch.manual_seed(1)
        net = skorch.NeuralNetClassifier(
            model(),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=getattr(module, name),
            optimizer__weight_decay=0.01,
            lr=0.01,
            max_epochs=3,
            batch_size=32,
            train_split=None,
            verbose=0,
            callbacks=[
                skorch.callbacks.LRScheduler("ExponentialLR", gamma=0.9),
                skorch.callbacks.GradientNormClipping(1.0),
            ],
        )
        net.fit(X.numpy(), y.numpy())
        fitted.append(net)
    ours, theirs = (list(net.module_.parameters()) for net in fitted)
    assert difference(ours, theirs) <= 1e-4
    assert isinstance(fitted[0].optimizer_, schuss.torch.Optimizer)
    file = io.BytesIO()
    fitted[0].save_params(f_optimizer=file)
    file.seek(0)
    fitted[0].load_params(f_optimizer=file)
    fitted[0].partial_fit(X.numpy(), y.numpy())
    fitted[0].set_params(optimizer__weight_decay=0.5)
    assert fitted[0].optimizer_.param_groups[0]["weight_decay"] == 0.5


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_lightning(precision: str, tmp_path: Any) -> None:
    """With clipping, accumulation, a scheduler, a checkpoint, and a run that goes on from it."""
    lightning: Any = pytest.importorskip("lightning")
    X, y = data()

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self, of: Any) -> None:
            super().__init__()
            self.of, self.net = of, model()

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0].to(self.net[0].weight.dtype)).float(), batch[1])

        def configure_optimizers(self) -> Any:
            optimizer = self.of.AdamW(self.parameters(), lr=0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    def trained(of: Any, epochs: int, resume: Any = None) -> tuple[Any, Any]:
        module = Module(of)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            precision=precision,
            gradient_clip_val=1.0,
            accumulate_grad_batches=2,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
        )
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=32)
        trainer.fit(module, loader, ckpt_path=resume)
        return trainer, list(module.parameters())

    _, theirs = trained(torch.optim, 2)
    trainer, ours = trained(schuss.torch, 2)
    assert isinstance(trainer.optimizers[0], schuss.torch.Optimizer)
    # Torch keeps moments in bfloat16 where parameters are.
    tolerance = 0.2 if precision == "bf16-true" else 1e-3
    assert difference([p.float() for p in ours], [p.float() for p in theirs]) <= tolerance
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, whole = trained(schuss.torch, 3)
    resumed, again = trained(schuss.torch, 3, tmp_path / "half.ckpt")
    assert same_bits([p.float() for p in again], [p.float() for p in whole])
    assert float(resumed.optimizers[0].state[again[0]]["step"]) == 12


@pytest.mark.parametrize("mixed", ["no", "bf16"])
def test_accelerate(mixed: str, tmp_path: Any) -> None:
    accelerate: Any = pytest.importorskip("accelerate")
    accelerate.state.AcceleratorState._reset_state(True)
    X, y = data()
    fitted = []
    for module in (schuss.torch, torch.optim):
        accelerator = accelerate.Accelerator(cpu=True, mixed_precision=mixed, gradient_accumulation_steps=2)
        net = model()
        optimizer = module.AdamW(net.parameters(), lr=0.01)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=32)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
        net, optimizer, loader, schedule = accelerator.prepare(net, optimizer, loader, schedule)
        for epoch in range(2):
            for X_batch, y_batch in loader:
                with accelerator.accumulate(net):
                    loss = torch.nn.functional.cross_entropy(net(X_batch), y_batch)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(net.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()
            if epoch == 0:
                accelerator.save_state(tmp_path / module.__name__)
                accelerator.load_state(tmp_path / module.__name__)
        fitted.append((optimizer, list(net.parameters())))
    assert isinstance(fitted[0][0].optimizer, schuss.torch.Optimizer)
    assert difference(fitted[0][1], fitted[1][1]) <= 1e-3
    assert float(fitted[0][0].state[fitted[0][1][0]]["step"]) == 8


class _Card:
    """Stands in for torch.cuda where there is no card."""

    class Stream:
        def wait_stream(self, other: Any) -> None: ...
        def synchronize(self) -> None: ...
        def record_event(self) -> _Card.Stream:
            return self

    current_stream = Stream

    def stream(self, stream: Any) -> Any:
        return contextlib.nullcontext()


class _Torch:
    """Torch, but for the card and memory that it pins."""

    cuda = _Card()

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def empty_like(self, p: Any, **options: Any) -> Any:
        return torch.empty_like(p)


@pytest.mark.parametrize("minimal_size", [0, 128])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["AdamW", "Lion"])
def test_offloading_of_torchao(minimal_size: int, dtype: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes one optimizer of each parameter, over bare tensors of the host."""
    offload: Any = pytest.importorskip("torchao.optim.cpu_offload")
    monkeypatch.setattr(offload, "get_available_devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(offload, "torch", _Torch())
    X, y = data()
    net = model().to(dtype)
    plain = copy.deepcopy(net)
    kind = getattr(schuss.torch, name)
    opt = offload.CPUOffloadOptimizer(
        net.parameters(), kind, minimal_size=minimal_size, offload_gradients=False, lr=0.01
    )
    other = kind(plain.parameters(), lr=0.01)
    schedules = [torch.optim.lr_scheduler.ExponentialLR(o, 0.9) for o in (opt, other)]
    for step in range(6):
        for one, optimizer in ((net, opt), (plain, other)):
            torch.nn.functional.cross_entropy(one(X.to(dtype)).float(), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        for schedule in schedules:
            schedule.step()
        if step == 2 and minimal_size == 0:  # afterwards it has lost sight of the groups of small ones
            opt.load_state_dict(copy.deepcopy(opt.state_dict()))
    assert same_bits([p.float() for p in net.parameters()], [p.float() for p in plain.parameters()])
    assert opt.param_groups[0]["lr"] == pytest.approx(0.01 * 0.9**6)
