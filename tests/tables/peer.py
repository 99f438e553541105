"""pytabkit's RealMLP, watched: what it starts from, which rows each step sees, and the losses it finds."""

from contextlib import ExitStack
from unittest import mock

import numpy as np


class Watched:
    """A fit of pytabkit on a table, hooked.

    Attributes
    ----------
    start : dict of str to array
        Parameters before the first step, by pytabkit's names, without the axis of members.
    factors : dict of str to dict
        Of each parameter's rate and decay.
    training, validation : arrays of int
        Rows of the table.
    batches : list of arrays of int
        Rows of each step, as numbers of the table's rows.
    losses : list of float
        Of each step.
    rates : list of dict
        Rates and decays that each step had, by the names of parameters.
    inputs : dict of str to array
        What comes into the network that is trained, for all rows of the table.
    """

    def __init__(self, estimator, frame, y):
        from pytabkit.models.data import data as loaders
        from pytabkit.models.training import lightning_modules, nn_creator

        self.losses, self.batches, self.rates = [], [], []
        permutations = loaders.batch_randperm
        create, step = nn_creator.NNCreator.create_model, lightning_modules.TabNNModule.training_step
        watched = self

        def permuted(*args, **kwargs):
            found = permutations(*args, **kwargs)
            watched._orders.append(found[0].numpy().copy())
            return found

        def created(creator, ds, idxs_list):
            model = create(creator, ds, idxs_list=idxs_list)
            watched._see(creator, model, ds, idxs_list[0])
            return model

        def stepped(module, batch, index):
            loss = step(module, batch, index)
            watched.losses.append(float(loss.detach()))
            optimizer = module.optimizers(use_pl_optimizer=False)
            watched.rates.append(
                {
                    str(group["params"][0].context.scope): (
                        float(optimizer.get_hyper_values("lr", k)),
                        float(optimizer.get_hyper_values("wd", k)),
                    )
                    for k, group in enumerate(optimizer.opt.param_groups)
                }
            )
            return loss

        self._orders = []
        with ExitStack() as stack:
            for place, name, hook in [
                (loaders, "batch_randperm", permuted),
                (nn_creator.NNCreator, "create_model", created),
                (lightning_modules.TabNNModule, "training_step", stepped),
            ]:
                stack.enter_context(mock.patch.object(place, name, hook))
            self.estimator = estimator.fit(frame, y)
        batch = min(256, len(self.training))
        for order in self._orders:
            rows = self.training[order]
            self.batches += [rows[k : k + batch] for k in range(0, len(rows) - batch + 1, batch)]

    def _see(self, creator, model, ds, split):
        self.model, self.creator = model, creator
        named = {str(p.context.scope): p for p in model.parameters()}
        self.parameters = named
        self.start = {name: p.detach().numpy()[0].copy() for name, p in named.items()}
        self.factors = {name: dict(p.hyper_factors) for name, p in named.items()}
        self.training, self.validation = split.train_idxs[0].numpy(), split.val_idxs[0].numpy()
        self.table = ds
        static = creator.static_model.forward_ds(ds)
        self.inputs = {name: tensor.numpy().copy() for name, tensor in static.tensors.items()}
        self._static = static

    def batch(self, rows):
        """The rows as the network takes them, with the axis of members."""
        import torch

        index = torch.as_tensor(np.asarray(rows))[None]
        return self._static.get_batch(index)
