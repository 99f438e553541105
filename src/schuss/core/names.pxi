# Names of what the core knows, and their numbers there.

cdef dict numbers_of(names):
    return {name: number for number, name in enumerate(names)}


ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "gelu", "silu", "mish", "hard_swish", "softplus",
    "exp", "softmax",
)
LOSSES = (
    "mse", "mae", "huber", "cross_entropy", "binary_cross_entropy", "poisson", "quantile", "gamma", "tweedie", "gaussian",
    "focal", "binary_focal",
)

cdef dict ACTIVATION_NUMBERS = numbers_of(ACTIVATIONS)
cdef dict LOSS_NUMBERS = numbers_of(LOSSES)
cdef dict INIT_NUMBERS = numbers_of(("zeros", "uniform", "normal", "orthogonal"))
cdef dict ELEMENTARY_NUMBERS = numbers_of(("exp", "log", "tanh", "erfc", "expm1", "log1p"))
cdef dict AVERAGE_NUMBERS = numbers_of(("none", "ema", "mean", "lookahead"))
cdef dict DIALECT_NUMBERS = numbers_of(("torch", "keras", "sklearn"))
