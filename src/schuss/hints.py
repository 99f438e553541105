"""Words of other libraries, and what stands for them here. They are told where a word is met that is not known.

No word becomes an alias: what files, messages and pages call a thing is its name. The table holds every word once,
and is loaded where a module, a class or a function does not know one (see `habits`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_LINEAR = "schuss.Dense"
_NETWORK = "schuss.Network([...])"
_NO_MODE = "nothing, as there are no modes: net.fit and net.train_step train, net.predict and net.evaluate do not"
_NO_DEVICE = "nothing, as all runs on the CPU: schuss.set_num_threads says on how many threads"
_NO_TENSOR = "nothing, as net.fit and net.predict take NumPy arrays as they are"
_LOADER = "batch_size= and shuffle= of net.fit, which takes arrays"
_SEED = "seed= of schuss.Network"
_MAX_POOL, _AVG_POOL = "schuss.MaxPool", "schuss.AvgPool"
_GLOBAL_AVG, _GLOBAL_MAX = "schuss.GlobalAvgPool", "schuss.GlobalMaxPool"
_CLASSES = "schuss.CrossEntropy, with a softmax in the last layer or without"
_YES_NO = "schuss.BinaryCrossEntropy, with a sigmoid in the last layer or without"
_IN_STEPS = "which counts steps; schuss.schedules.PerEpoch counts epochs"
_STEP = "opt.step(grads)"
_SPEED = "nothing, as opt.step is one compiled call"
_OF_LAYERS = "dropout= of the layer before, or schuss.Activation('identity', dropout=0.5)"
_DECAY = "weight_decay= of the optimizer, as of schuss.AdamW"
_ALL_BETAS = "betas, as in betas=(0.9, 0.999)"
_NO_NAME = "nothing, as layers have no names of their own: net.named_parameters numbers them"
_FUNCTION = "a function (prediction, target) -> number, such as one of sklearn.metrics, among metrics="

# What is asked for of a module.
MODULE_NAMES = {
    # Networks, and where things lie.
    "Sequential": _NETWORK,
    "Model": _NETWORK,
    "Module": _NETWORK,
    "MLP": _NETWORK,
    "nn": "schuss itself, as schuss.Dense, schuss.Network and schuss.CrossEntropy",
    "keras": "schuss itself, as schuss.Dense, schuss.Network and schuss.CrossEntropy",
    "models": "schuss itself, as schuss.Network",
    "activations": "a name, as in schuss.Dense(100, 'relu') or schuss.Activation('relu')",
    "initializers": "a name, as in schuss.Dense(100, init='he_normal')",
    "regularizers": _DECAY,
    "optimizers": "schuss.optim",
    "lr_scheduler": "schuss.schedules",
    "LearningRateSchedule": "schuss.schedules.Schedule",
    "LearningRateScheduler": "lr= of net.fit, which takes a schedule such as schuss.schedules.Lambda",
    "NeuralNetClassifier": "schuss.sklearn.MLPClassifier",
    "NeuralNetRegressor": "schuss.sklearn.MLPRegressor",
    "MLPClassifier": "schuss.sklearn.MLPClassifier",
    "MLPRegressor": "schuss.sklearn.MLPRegressor",
    # Tensors, devices, data.
    "tensor": _NO_TENSOR,
    "as_tensor": _NO_TENSOR,
    "from_numpy": _NO_TENSOR,
    "device": _NO_DEVICE,
    "cuda": _NO_DEVICE,
    "DataLoader": _LOADER,
    "TensorDataset": _LOADER,
    "no_grad": "net.predict, which keeps nothing for gradients",
    "inference_mode": "net.predict, which keeps nothing for gradients",
    "manual_seed": _SEED,
    "set_random_seed": _SEED,
    "save": "net.save",
    "save_model": "net.save",
    "load_model": "schuss.load",
    "grad": "net.loss_and_gradients",
    "value_and_grad": "net.loss_and_gradients",
    "clip_grad_norm_": "clip_norm= of net.fit, net.train_step and opt.step",
    "clip_grad_value_": "clip_value= of net.fit, net.train_step and opt.step",
    # Callbacks.
    "Callback": "schuss.callbacks.Callback, or a function of a schuss.EpochRecord, given as callbacks=",
    "ModelCheckpoint": "schuss.callbacks.Checkpoint",
    "BackupAndRestore": "schuss.callbacks.Checkpoint, and resume= of net.fit",
    "CSVLogger": "schuss.callbacks.CSVLogger",
    "TensorBoard": "schuss.callbacks.TensorBoard",
    "SummaryWriter": "schuss.callbacks.TensorBoard",
    "TerminateOnNaN": "on_divergence= of net.fit, which stops at NaN or goes on",
    "LRFinder": "schuss.find_lr",
    "LearningRateFinder": "schuss.find_lr",
    "lr_find": "schuss.find_lr",
    # Layers.
    "Linear": _LINEAR,
    "LazyLinear": _LINEAR,
    "FullyConnected": _LINEAR,
    "Dropout": _OF_LAYERS,
    "SimpleRNN": "schuss.RNN",
    "MaxPool1d": _MAX_POOL,
    "MaxPool2d": _MAX_POOL,
    "MaxPooling1D": _MAX_POOL,
    "MaxPooling2D": _MAX_POOL,
    "AvgPool1d": _AVG_POOL,
    "AvgPool2d": _AVG_POOL,
    "AveragePooling1D": _AVG_POOL,
    "AveragePooling2D": _AVG_POOL,
    "GlobalAveragePooling1D": _GLOBAL_AVG,
    "GlobalAveragePooling2D": _GLOBAL_AVG,
    "AdaptiveAvgPool1d": _GLOBAL_AVG,
    "AdaptiveAvgPool2d": _GLOBAL_AVG,
    "GlobalMaxPooling1D": _GLOBAL_MAX,
    "GlobalMaxPooling2D": _GLOBAL_MAX,
    "AdaptiveMaxPool1d": _GLOBAL_MAX,
    "AdaptiveMaxPool2d": _GLOBAL_MAX,
    "BatchNormalization": "schuss.BatchNorm",
    "BatchNorm1d": "schuss.BatchNorm",
    "BatchNorm2d": "schuss.BatchNorm",
    "LayerNormalization": "schuss.LayerNorm",
    "InputLayer": "schuss.Input",
    "ReLU": "schuss.Activation('relu')",
    "LeakyReLU": "schuss.Activation('leaky_relu', alpha=0.01)",
    "ELU": "schuss.Activation('elu')",
    "SELU": "schuss.Activation('selu')",
    "GELU": "schuss.Activation('gelu')",
    "SiLU": "schuss.Activation('silu')",
    "Swish": "schuss.Activation('silu')",
    "Mish": "schuss.Activation('mish')",
    "Hardswish": "schuss.Activation('hard_swish')",
    "Sigmoid": "schuss.Activation('sigmoid')",
    "Tanh": "schuss.Activation('tanh')",
    "Softplus": "schuss.Activation('softplus')",
    "Softmax": "schuss.Activation('softmax')",
    "LogSoftmax": f"nothing: leave it out before {_CLASSES}",
    "Identity": "schuss.Activation('identity')",
    # Losses.
    "MSELoss": "schuss.MSE",
    "MeanSquaredError": "schuss.MSE",
    "L1Loss": "schuss.MAE",
    "MeanAbsoluteError": "schuss.MAE",
    "HuberLoss": "schuss.Huber",
    "SmoothL1Loss": "schuss.Huber, the same where beta is 1",
    "CrossEntropyLoss": _CLASSES,
    "NLLLoss": _CLASSES,
    "CategoricalCrossentropy": _CLASSES,
    "SparseCategoricalCrossentropy": _CLASSES,
    "BCELoss": _YES_NO,
    "BCEWithLogitsLoss": _YES_NO,
    "PoissonNLLLoss": "schuss.Poisson",
    "GaussianNLLLoss": "schuss.Gaussian",
    "CategoricalFocalCrossentropy": "schuss.Focal",
    "BinaryFocalCrossentropy": "schuss.BinaryFocal",
    # Metrics.
    "Accuracy": "metrics='accuracy'",
    "CategoricalAccuracy": "metrics='accuracy'",
    "SparseCategoricalAccuracy": "metrics='accuracy'",
    "BinaryAccuracy": "metrics='accuracy'",
    "AUC": "metrics='auc'",
    "RootMeanSquaredError": "metrics='rmse'",
    "R2Score": "metrics='r2'",
    # Optimizers.
    "Momentum": "schuss.SGD(net.parameters, lr=0.01, momentum=0.9)",
    "ExponentialMovingAverage": "schuss.EMA",
    "AveragedModel": "schuss.EMA, or schuss.SWA",
    # Schedules.
    "StepLR": f"schuss.schedules.Step, {_IN_STEPS}",
    "MultiStepLR": f"schuss.schedules.MultiStep, {_IN_STEPS}",
    "ExponentialLR": f"schuss.schedules.Exponential, {_IN_STEPS}",
    "CosineAnnealingLR": f"schuss.schedules.Cosine, {_IN_STEPS}",
    "CosineAnnealingWarmRestarts": f"schuss.schedules.CosineRestarts, {_IN_STEPS}",
    "LinearLR": f"schuss.schedules.Linear, {_IN_STEPS}",
    "PolynomialLR": f"schuss.schedules.Polynomial, {_IN_STEPS}",
    "LambdaLR": f"schuss.schedules.Lambda, {_IN_STEPS}",
    "SequentialLR": f"schuss.schedules.Sequence, {_IN_STEPS}",
    "OneCycleLR": "schuss.schedules.OneCycle",
    "CyclicLR": "schuss.schedules.Cyclic",
    "ReduceLROnPlateau": "schuss.schedules.ReduceOnPlateau, given as lr=",
    "ExponentialDecay": "schuss.schedules.Exponential",
    "CosineDecay": "schuss.schedules.Cosine",
    "CosineDecayRestarts": "schuss.schedules.CosineRestarts",
    "PolynomialDecay": "schuss.schedules.Polynomial",
    "InverseTimeDecay": "schuss.schedules.InverseTime",
    "PiecewiseConstantDecay": "schuss.schedules.PiecewiseConstant",
}

# What is asked for of an object, by the name of its class in schuss.
ATTRIBUTES = {
    "Network": {
        "add": f"all layers at once: {_NETWORK}",
        "build": f"nothing, as {_NETWORK} has all arrays",
        "compile": "loss=, optimizer= and metrics= of net.fit",
        "train": _NO_MODE,
        "eval": _NO_MODE,
        "cpu": _NO_DEVICE,
        "cuda": _NO_DEVICE,
        "to": "nothing, as all runs on the CPU; dtype= of schuss.Network says float32 or float64",
        "zero_grad": "nothing, as net.loss_and_gradients and net.backward write gradients anew",
        "state_dict": "net.named_parameters() and net.named_states(), or net.save and schuss.load",
        "get_weights": "net.parameters",
        "set_weights": "net.parameters[0][...] = W, as they are views",
        "trainable_weights": "net.parameters",
        "trainable_variables": "net.parameters",
        "count_params": "net.n_parameters",
        "modules": "net.layers",
        "children": "net.layers",
        "save_weights": "net.save",
        "load_weights": "schuss.load",
        "train_on_batch": "net.train_step",
        "test_on_batch": "net.evaluate",
        "predict_on_batch": "net.predict",
        "partial_fit": "net.train_step, or net.fit again",
        "predict_proba": "net.predict with a softmax or sigmoid in the last layer, or schuss.sklearn.MLPClassifier",
        "score": "net.evaluate",
    },
    "Optimizer": {
        "zero_grad": f"nothing, as {_STEP} is given them; opt.step(grads, zero_grad=True) leaves zeros there",
        "apply_gradients": _STEP,
        "minimize": "schuss.minimize, or net.train_step",
        "update": _STEP,
        "init": "nothing, as an optimizer has its state from the start",
        "lr": "opt.param_groups[0]['lr']",
        "learning_rate": "opt.param_groups[0]['lr']",
        "iterations": "opt.steps",
        "add_param_group": "groups given at the start, as of net.parameter_groups",
        "get_config": "opt.state_dict()",
    },
    "History": {
        "history": "history['loss'], with history.names",
        "epoch": "history.epochs",
    },
}
# Keyword arguments, by what is called. Several names: the first that it knows. "*": positional ones too many.
KEYWORDS: dict[str, dict[str, str | tuple[str, ...]]] = {
    "network": {
        "*": f"one list of layers, {_NETWORK}",
        "random_state": ("seed",),
        "input_shape": "schuss.Input as the first layer, or n_in= of schuss.Dense",
        "name": "net.metadata, which is saved with the network",
        "loss": "loss= of net.fit",
        "optimizer": "optimizer= of net.fit",
        "metrics": "metrics= of net.fit",
        "device": _NO_DEVICE,
    },
    "fit": {
        "x": ("X",),
        "learning_rate": ("lr",),
        "learning_rate_init": ("lr",),
        "lr_scheduler": "lr, which takes a schedule such as schuss.schedules.Cosine",
        "scheduler": "lr, which takes a schedule such as schuss.schedules.Cosine",
        "validation_split": ("validation_fraction",),
        "val_split": ("validation_fraction",),
        "validation_size": ("validation_fraction",),
        "test_size": ("validation_fraction",),
        "val_data": ("validation_data",),
        "eval_set": ("validation_data",),
        "X_val": "validation_data=(X, y)",
        "y_val": "validation_data=(X, y)",
        "n_epochs": ("epochs",),
        "nb_epoch": ("epochs",),
        "num_epochs": ("epochs",),
        "max_epochs": ("epochs",),
        "max_iter": ("epochs",),
        "n_iter": ("epochs",),
        "initial_epoch": "nothing, as net.fit goes on where it stopped: net.epochs_done counts",
        "warm_start": "nothing, as net.fit goes on where it stopped",
        "batchsize": ("batch_size",),
        "steps_per_epoch": "batch_size=, as an epoch has all rows",
        "sample_weights": ("sample_weight",),
        "class_weights": ("class_weight",),
        "loss_fn": ("loss",),
        "loss_function": ("loss",),
        "criterion": ("loss",),
        "objective": ("loss",),
        "optim": ("optimizer",),
        "solver": ("optimizer",),
        "callback": ("callbacks",),
        "metric": ("metrics",),
        "eval_metric": ("metrics",),
        "scoring": ("metrics",),
        "patience": "early_stopping=, which takes the patience or an EarlyStopping",
        "n_iter_no_change": "early_stopping=, which takes the patience or an EarlyStopping",
        "restore_best_weights": "early_stopping=schuss.EarlyStopping(restore_best=True), which is the default there",
        "random_state": _SEED,
        "seed": _SEED,
        "clipnorm": ("clip_norm",),
        "gradient_clip_val": ("clip_norm",),
        "max_grad_norm": ("clip_norm",),
        "clipvalue": ("clip_value",),
        "weight_decay": _DECAY,
        "momentum": "optimizer=schuss.SGD(net.parameters, lr=0.01, momentum=0.9)",
        "accumulate_grad_batches": "optimizer's own in a loop of train_step: schuss.Accumulate",
        "dropout": "dropout= of a layer, or dropout_factor=",
        "device": _NO_DEVICE,
        "workers": _NO_DEVICE,
        "n_jobs": _NO_DEVICE,
    },
    "layers": {
        "units": ("n_out", "n_hidden"),
        "n_units": ("n_out", "n_hidden"),
        "num_units": ("n_out", "n_hidden"),
        "hidden_size": ("n_hidden",),
        "out_features": ("n_out",),
        "in_features": ("n_in",),
        "input_dim": ("n_in", "n"),
        "output_dim": ("n_out", "dim"),
        "input_size": "input_shape=(times, features), which follows from the layer before",
        "input_shape": ("n_in",),
        "filters": ("n_out",),
        "out_channels": ("n_out",),
        "in_channels": "input_shape=, which follows from the layer before",
        "kernel_size": ("kernel",),
        "pool_size": ("kernel",),
        "strides": ("stride",),
        "dilation_rate": ("dilation",),
        "num_embeddings": ("n",),
        "embedding_dim": ("dim",),
        "normalized_shape": ("n",),
        "num_features": ("n",),
        "num_parameters": ("n",),
        "use_bias": ("bias",),
        "kernel_initializer": ("init",),
        "recurrent_initializer": ("recurrent_init",),
        "epsilon": ("eps",),
        "dropout_rate": ("dropout",),
        "rate": ("dropout",),
        "p": ("dropout",),
        "act": ("activation",),
        "nonlinearity": ("activation",),
        "activation_fn": ("activation",),
        "negative_slope": ("alpha",),
        "go_backwards": ("reverse",),
        "bidirectional": "schuss.Bidirectional(layer)",
        "num_layers": "a layer for each, all but the last with return_sequences=True",
        "batch_first": "nothing, as rows come first: (rows, times, features)",
        "stateful": "carry_state= of net.fit",
        "return_state": "net.step, with net.initial_state",
        "kernel_regularizer": _DECAY,
        "data_format": "channels= of schuss.Input",
        "trainable": "frozen in net.parameter_groups({'layers.0.*': {'frozen': True}})",
        "name": _NO_NAME,
        "device": _NO_DEVICE,
    },
    "optimizers": {
        "learning_rate": ("lr",),
        "learning_rate_init": ("lr",),
        "step_size": ("lr",),
        "beta_1": _ALL_BETAS,
        "beta_2": _ALL_BETAS,
        "beta1": _ALL_BETAS,
        "beta2": _ALL_BETAS,
        "b1": _ALL_BETAS,
        "b2": _ALL_BETAS,
        "epsilon": ("eps",),
        "rho": ("alpha",),
        "decay": "weight_decay=, or for a falling rate lr=schuss.schedules.InverseTime(...)",
        "l2": ("weight_decay",),
        "momentum": "betas=, the first of which it is, or schuss.SGD",
        "nesterov": "schuss.NAdam, or schuss.SGD(net.parameters, lr=0.01, momentum=0.9, nesterov=True)",
        "clipnorm": "clip_norm= of net.fit, net.train_step and opt.step",
        "clip_norm": "clip_norm= of net.fit, net.train_step and opt.step",
        "global_clipnorm": "clip_norm= of net.fit, net.train_step and opt.step",
        "clipvalue": "clip_value= of net.fit, net.train_step and opt.step",
        "clip_value": "clip_value= of net.fit, net.train_step and opt.step",
        "use_ema": "schuss.EMA",
        "ema_momentum": "schuss.EMA",
        "gradient_accumulation_steps": "schuss.Accumulate",
        "foreach": _SPEED,
        "fused": _SPEED,
        "capturable": _SPEED,
    },
    "early_stopping": {
        "restore_best_weights": ("restore_best",),
        "load_best": ("restore_best",),
        "delta": ("min_delta",),
        "tol": ("min_delta",),
        "threshold": ("min_delta",),
        "n_iter_no_change": ("patience",),
        "metric": ("monitor",),
        "lower_is_better": "mode='min' or mode='max'",
        "verbose": "verbose= of net.fit",
    },
}

_TO_LOGITS = "'cross_entropy', with a softmax in the last layer or without"
_TO_LOGIT = "'binary_cross_entropy', with a sigmoid in the last layer or without"
# Names that are given as text, by what they name.
VALUES = {
    "activation": {
        "swish": "'silu'",
        "linear": "'identity'",
        "none": "'identity'",
        "logistic": "'sigmoid'",
        "hard_silu": "'hard_swish'",
        "exponential": "'exp'",
        "log_softmax": "'softmax' or none, as schuss.CrossEntropy takes logits",
        "prelu": "schuss.PReLU()",
    },
    "loss": {
        "mean_squared_error": "'mse'",
        "squared_error": "'mse'",
        "l2": "'mse'",
        "rmse": "'mse', which is least where its root is; metrics='rmse' shows that",
        "mean_absolute_error": "'mae'",
        "absolute_error": "'mae'",
        "l1": "'mae'",
        "smooth_l1": "'huber'",
        "huber_loss": "'huber'",
        "pinball": "'quantile'",
        "categorical_crossentropy": _TO_LOGITS,
        "sparse_categorical_crossentropy": _TO_LOGITS,
        "softmax_cross_entropy": _TO_LOGITS,
        "cross_entropy_loss": _TO_LOGITS,
        "cross_entropy_with_logits": _TO_LOGITS,
        "nll": _TO_LOGITS,
        "nll_loss": _TO_LOGITS,
        "ce": _TO_LOGITS,
        "log_loss": "'cross_entropy', or 'binary_cross_entropy' with one output",
        "bce": _TO_LOGIT,
        "bce_with_logits": _TO_LOGIT,
        "binary_cross_entropy_with_logits": _TO_LOGIT,
        "sigmoid_cross_entropy": _TO_LOGIT,
        "kl_divergence": "'cross_entropy' with rows of probabilities, which differs by a constant",
        "poisson_nll": "'poisson'",
        "gaussian_nll": "'gaussian'",
        "focal_loss": "'focal'",
        "categorical_focal_crossentropy": "'focal'",
        "binary_focal_crossentropy": "'binary_focal'",
    },
    "metric": {
        "acc": "'accuracy'",
        "accuracy_score": "'accuracy'",
        "categorical_accuracy": "'accuracy'",
        "sparse_categorical_accuracy": "'accuracy'",
        "binary_accuracy": "'accuracy'",
        "balanced_accuracy_score": "'balanced_accuracy'",
        "roc_auc": "'auc'",
        "auroc": "'auc'",
        "roc_auc_score": "'auc'",
        "cross_entropy": "'log_loss'",
        "categorical_crossentropy": "'log_loss'",
        "mean_squared_error": "'mse'",
        "root_mean_squared_error": "'rmse'",
        "mean_absolute_error": "'mae'",
        "r2_score": "'r2'",
        "f1": _FUNCTION,
        "precision": _FUNCTION,
        "recall": _FUNCTION,
    },
    "optimizer": {
        "momentum": "schuss.SGD(net.parameters, lr=0.01, momentum=0.9)",
        "sgd_momentum": "schuss.SGD(net.parameters, lr=0.01, momentum=0.9)",
        "nesterov": "schuss.SGD(net.parameters, lr=0.01, momentum=0.9, nesterov=True)",
        "amsgrad": "schuss.Adam(net.parameters, amsgrad=True)",
        "gradient_descent": "'sgd' with batch_size=None",
        "lbfgs": "schuss.LBFGS, whose step takes a function, or solver='lbfgs' of schuss.sklearn.MLPClassifier",
    },
    "init": {
        "xavier_uniform": "'glorot_uniform'",
        "xavier_normal": "'glorot_normal'",
        "xavier": "'glorot_uniform' or 'glorot_normal'",
        "glorot": "'glorot_uniform' or 'glorot_normal'",
        "kaiming_uniform": "'he_uniform'",
        "kaiming_normal": "'he_normal'",
        "kaiming": "'he_uniform' or 'he_normal'",
        "he": "'he_uniform' or 'he_normal'",
    },
}
# Which of these an argument takes, where its name is another.
_ARGUMENTS = {"name": "activation", "recurrent_init": "init"}


def plain(word: str) -> str:
    """A word without what spellings differ in."""
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _found(table: dict[str, str], word: str) -> str | None:
    asked = plain(word)
    return next((text for known, text in table.items() if plain(known) == asked), None)


# -- names of modules -------------------------------------------------------------------------------------------------


def missing_name(module: str, name: str, asking: FrameType) -> AttributeError | ImportError:
    """The error for a name that a module does not have, and that a frame asks for.

    ``from schuss import name`` makes an error of its own of any AttributeError, so it gets an ImportError here.
    """
    from opcode import opname

    hint = _of_module(module, name)
    if hint is None:
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    if opname[asking.f_code.co_code[asking.f_lasti]] == "IMPORT_FROM":
        return ImportError(f"cannot import name {name!r} from {module!r}; here: {hint}", name=module)
    return AttributeError(f"module {module!r} has no attribute {name!r}; here: {hint}")


def _of_module(module: str, name: str) -> str | None:
    from importlib.util import find_spec

    same = _spelt(module, name) or _spelt("schuss", name)
    if same is not None:
        return same
    if module == "schuss" and name.isidentifier() and find_spec(f"{module}.{name}") is not None:
        return f"import {module}.{name}"
    return _found(MODULE_NAMES, name)


def _spelt(module: str, name: str) -> str | None:
    """A name of a module that differs in its spelling alone."""
    names = getattr(sys.modules.get(module), "__all__", ())
    return next((f"{module}.{known}" for known in names if plain(known) == plain(name)), None)


# -- attributes and arguments -----------------------------------------------------------------------------------------


def missing_attribute(section: str, owner: str, name: str, of_class: bool) -> AttributeError:
    """The error for an attribute that objects of a class do not have."""
    what = f"type object {owner!r}" if of_class else f"{owner!r} object"
    return AttributeError(f"{what} has no attribute {name!r}; here: {ATTRIBUTES[section][name]}")


def of_call(section: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The message for arguments that a function does not take; None where nothing is known of the first."""
    code = function.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    who = f"{type(args[0]).__name__}.{function.__name__}" if args else function.__qualname__
    table = KEYWORDS[section]
    unknown = [word for word in kwargs if word not in known]
    found = {word: hint for word in unknown if (hint := keyword(section, word, known)) is not None}
    if unknown and unknown[0] in found:
        hints = next(iter(found.values())) if len(unknown) == 1 else "; ".join(f"{w}: {h}" for w, h in found.items())
        return f"{who}() got an unexpected keyword argument {unknown[0]!r}; here: {hints}"
    if not unknown and len(args) > code.co_argcount and "*" in table:
        return f"{who}() got {len(args) - 1} positional arguments; here: {table['*']}"
    return None


def keyword(section: str, word: str, known: Iterable[str]) -> str | None:
    """What stands for a keyword argument, of those that are known."""
    found = KEYWORDS[section].get(word)
    if not isinstance(found, tuple):
        return found
    return next((f"{name}=" for name in found if name in known), None)


# -- values -----------------------------------------------------------------------------------------------------------


def of_value(argument: str, value: object, known: Iterable[str]) -> str | None:
    """What stands for a name that is none of those that are known."""
    names = list(known)
    if argument.startswith("params[") and argument.endswith("key"):
        return keyword("optimizers", str(value), names)
    table = VALUES.get(_ARGUMENTS.get(argument, argument))
    if table is None:  # names of the user's own, perhaps, which others are not to be preferred to
        return None
    same = [name for name in names if plain(name) == plain(str(value))]
    if same:
        return repr(same[0])
    hint = _found(table, str(value))
    if hint is None or (hint[0] == "'" and not any(repr(name) in hint for name in names)):
        return None
    return hint


def of_no_optimizer(value: object, by_name: bool) -> str:
    """What to add to the message for what is no optimizer."""
    if isinstance(value, type):
        return ": an object is wanted, such as schuss.Adam(net.parameters), and this is a class"
    if isinstance(value, str) and not by_name:
        return ": names are for net.fit, here it is an object, such as schuss.Adam(net.parameters)"
    if _library(value) in ("torch", "keras", "optax", "tensorflow"):
        return ": those of schuss.optim are wanted, such as schuss.Adam(net.parameters)"
    return ""


def of_no_layer(value: object) -> str:
    """What to add to the message for what is no layer."""
    if isinstance(value, str):
        return f": schuss.Activation({value!r}) may be meant"
    if isinstance(value, type):
        return ": an object is wanted, such as schuss.Dense(100, 'relu'), and this is a class"
    library = _library(value)
    if library in ("torch", "keras"):
        return f": schuss.from_{library} takes whole networks"
    return ""


def of_no_callback(value: object) -> str:
    """What to add to what a callback must be."""
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    if name == "EarlyStopping":
        return " with an EpochRecord, and early stopping is given as early_stopping="
    if type(value).__module__.startswith("schuss.schedules"):
        return " with an EpochRecord, and a schedule is given as lr="
    return ""


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]
