# Numbers of a group of parameters, read from its dict and checked.

cdef dict RULE_NUMBERS = {}
while schuss_rule_name(len(RULE_NUMBERS)) != NULL:
    RULE_NUMBERS[schuss_rule_name(len(RULE_NUMBERS)).decode()] = len(RULE_NUMBERS)

# Every number of a group: where the example has it, and the interval it must lie in.
cdef schuss_group EXAMPLE
cdef schuss_group *NOWHERE = &EXAMPLE
cdef dict NUMBERS = {
    "lr": (<uintptr_t>&NOWHERE.lr, "[0, inf)"),
    "lr_factor": (<uintptr_t>&NOWHERE.lr_factor, "[0, inf)"),
    "weight_decay": (<uintptr_t>&NOWHERE.weight_decay, "[0, inf)"),
    "eps": (<uintptr_t>&NOWHERE.eps, "[0, inf)"),
    "momentum": (<uintptr_t>&NOWHERE.momentum, "[0, inf)"),
    "dampening": (<uintptr_t>&NOWHERE.dampening, "(-inf, inf)"),
    "alpha": (<uintptr_t>&NOWHERE.alpha, "[0, 1]"),
    "lr_decay": (<uintptr_t>&NOWHERE.lr_decay, "[0, inf)"),
    "momentum_decay": (<uintptr_t>&NOWHERE.momentum_decay, "[0, inf)"),
    "alpha_warmup": (<uintptr_t>&NOWHERE.alpha_warmup, "[0, inf)"),
    "beta3_warmup": (<uintptr_t>&NOWHERE.beta3_warmup, "[0, inf)"),
    "lr_power": (<uintptr_t>&NOWHERE.lr_power, "[-1, 0]"),
    "l1": (<uintptr_t>&NOWHERE.l1, "[0, inf)"),
    "l2": (<uintptr_t>&NOWHERE.l2, "[0, inf)"),
    "l2_shrinkage": (<uintptr_t>&NOWHERE.l2_shrinkage, "[0, inf)"),
    "beta": (<uintptr_t>&NOWHERE.beta, "[0, inf)"),
    "rho": (<uintptr_t>&NOWHERE.alpha, "[0, 1]"),
    "lambd": (<uintptr_t>&NOWHERE.lambd, "[0, inf)"),
    "t0": (<uintptr_t>&NOWHERE.t0, "[0, inf)"),
    "warmup_steps": (<uintptr_t>&NOWHERE.warmup_steps, "[0, inf)"),
    "r": (<uintptr_t>&NOWHERE.weight_power, "[0, 100]"),
    "weight_lr_power": (<uintptr_t>&NOWHERE.weight_lr_power, "[0, 100]"),
    "trust_coefficient": (<uintptr_t>&NOWHERE.trust_coefficient, "[0, inf)"),
    "beta3": (<uintptr_t>&NOWHERE.beta3, "(0, 1)"),
    "d0": (<uintptr_t>&NOWHERE.d0, "(0, inf)"),
    "d_coef": (<uintptr_t>&NOWHERE.d_coef, "(0, inf)"),
    "growth_rate": (<uintptr_t>&NOWHERE.growth_rate, "[1, inf]"),
    "d": (<uintptr_t>&NOWHERE.d, "[1, inf)"),
    "beta2_decay": (<uintptr_t>&NOWHERE.beta2_decay, "(-inf, 0]"),
    "ns_steps": (<uintptr_t>&NOWHERE.ns_steps, "[0, 100)"),
    "shampoo_beta": (<uintptr_t>&NOWHERE.shampoo_beta, "(-inf, 1)"),
    "precondition_frequency": (<uintptr_t>&NOWHERE.precondition_frequency, "[1, 1e9]"),
    "max_precond_dim": (<uintptr_t>&NOWHERE.max_precond_dim, "[0, 1e9]"),
}
# Names under which a group has several numbers, with one interval for all or one for each.
cdef dict TUPLES = {
    "betas": ((<uintptr_t>&NOWHERE.beta1, <uintptr_t>&NOWHERE.beta2, <uintptr_t>&NOWHERE.beta3), "[0, 1)"),
    "etas": ((<uintptr_t>&NOWHERE.eta_minus, <uintptr_t>&NOWHERE.eta_plus), ("(0, 1)", "(1, inf)")),
    "ns_coefficients": ((<uintptr_t>&NOWHERE.ns_coefficients[0], <uintptr_t>&NOWHERE.ns_coefficients[1],
                         <uintptr_t>&NOWHERE.ns_coefficients[2]), "(-inf, inf)"),
    "step_sizes": ((<uintptr_t>&NOWHERE.smallest_step, <uintptr_t>&NOWHERE.largest_step), "[0, inf)"),
    "clamp": ((<uintptr_t>&NOWHERE.clamp_low, <uintptr_t>&NOWHERE.clamp_high), "[0, inf]"),
}
cdef dict FLAGS = {
    "maximize": <uintptr_t>&NOWHERE.maximize,
    "nesterov": <uintptr_t>&NOWHERE.nesterov,
    "centered": <uintptr_t>&NOWHERE.centered,
    "amsgrad": <uintptr_t>&NOWHERE.amsgrad,
    "rectify": <uintptr_t>&NOWHERE.rectify,
    "clip": <uintptr_t>&NOWHERE.clip,
    "no_prox": <uintptr_t>&NOWHERE.no_prox,
    "decoupled": <uintptr_t>&NOWHERE.decoupled,
    "decoupled_weight_decay": <uintptr_t>&NOWHERE.decoupled,
    "adapt": <uintptr_t>&NOWHERE.adapt,
    "bias_correction": <uintptr_t>&NOWHERE.bias_correction,
    "grad_averaging": <uintptr_t>&NOWHERE.grad_averaging,
    "use_bias_correction": <uintptr_t>&NOWHERE.bias_correction,
    "safeguard_warmup": <uintptr_t>&NOWHERE.safeguard_warmup,
    "decouple": <uintptr_t>&NOWHERE.decoupled,
    "correct_bias": <uintptr_t>&NOWHERE.bias_correction,
    "merge_dims": <uintptr_t>&NOWHERE.merge_dims,
    "precondition_1d": <uintptr_t>&NOWHERE.precondition_1d,
    "normalize_grads": <uintptr_t>&NOWHERE.normalize_grads,
}
cdef dict CHOICES = {
    "dialect": (<uintptr_t>&NOWHERE.dialect, DIALECT_NUMBERS),
    "adjust_lr_fn": (<uintptr_t>&NOWHERE.adjust_lr_fn, {"original": 0, "match_rms_adamw": 1}),
}
# Where a rule knows fewer.
cdef dict OTHER_CHOICES = {
    rule: {"dialect": ("torch", "keras")} for rule in ("adagrad", "rmsprop", "adadelta", "adamax", "nadam")
}
# Where a rule's numbers of a name lie in another interval.
cdef dict OTHER_INTERVALS = {
    "schedule_free_sgd": {"momentum": "(0, 1)"},
    "schedule_free_adamw": {"betas": ("(0, 1)", "[0, 1)")},
    "signum": {"momentum": "[0, 1)"},
    "ademamix": {"alpha": "[0, inf)"},
}
# Where a rule has several numbers under a name; whether None may stand for one, and counts as -1.
cdef dict OTHER_TUPLES = {
    "adafactor": {"eps": ((<uintptr_t>&NOWHERE.eps, True), (<uintptr_t>&NOWHERE.eps2, False))},
}


def hyperparameters(rule):
    intervals = {name: interval for name, (_, interval) in (*NUMBERS.items(), *TUPLES.items())}
    intervals.update(OTHER_INTERVALS.get(rule, {}))
    choices = {name: tuple(known) for name, (_, known) in CHOICES.items()}
    choices.update(OTHER_CHOICES.get(rule, {}))
    return intervals, frozenset(FLAGS), choices


cdef dict BOUNDS = {}


cdef int out_of_range(str name, double value, str expected) except -1:
    raise ValueError(f"{name} is {value!r}, expected {expected}")


cdef double within(str name, value, str interval) except? -1.5:
    """A number of a group; None counts as 0, unless that is a choice like others."""
    cdef double x, low, high
    if value is None:
        return -1 if name == "shampoo_beta" else 0
    try:
        x = <double>value
    except TypeError:
        raise TypeError(f"{name} must be a number; got {value!r}") from None
    if interval not in BOUNDS:
        BOUNDS[interval] = tuple([float(end) for end in interval[1:-1].split(",")])
    low, high = BOUNDS[interval]
    if not ((x > low or (x == low and interval[0] == "[")) and (x < high or (x == high and interval[-1] == "]"))):
        out_of_range(name, x, f"a number in {interval}")
    return x


cdef int fill_group(dict group, schuss_group *g, double smallest) except -1:
    """A group's numbers, checked: they may have been changed since the last step."""
    cdef uintptr_t into = <uintptr_t>g - <uintptr_t>NOWHERE  # the tables have addresses in NOWHERE
    memset(g, 0, sizeof(schuss_group))
    g.rule = RULE_NUMBERS[group["rule"]]
    g.lr_factor = 1
    cdef dict others = OTHER_INTERVALS.get(group["rule"], {}), tuples = OTHER_TUPLES.get(group["rule"], {})
    for name, value in group.items():
        if name in tuples:
            offsets = tuples[name]
            if not isinstance(value, (tuple, list)) or len(value) != len(offsets):
                raise ValueError(f"{name} is {value!r}, expected {len(offsets)} numbers")
            for k, (offset, optional) in enumerate(offsets):
                interval = others.get(name, NUMBERS[name][1])
                (<double *>(into + <uintptr_t>offset))[0] = (
                    -1 if optional and value[k] is None else within(f"{name}[{k}]", value[k], interval))
        elif name in NUMBERS:
            offset, interval = NUMBERS[name]
            (<double *>(into + <uintptr_t>offset))[0] = within(name, value, others.get(name, interval))
        elif name in FLAGS:
            (<int *>(into + <uintptr_t>FLAGS[name]))[0] = bool(value)
        elif name in CHOICES:
            if value is None:  # the first
                continue
            offset, known = CHOICES[name]
            expected = OTHER_CHOICES.get(group["rule"], {}).get(name, known)
            if value not in expected:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(expected)}")
            (<int *>(into + <uintptr_t>offset))[0] = known[value]
        elif name in TUPLES:
            offsets, interval = TUPLES[name]
            interval = others.get(name, interval)
            if not isinstance(value, (tuple, list)) or len(value) > len(offsets):
                raise ValueError(f"{name} is {value!r}, expected at most {len(offsets)} numbers")
            for k, part in enumerate(value):
                (<double *>(into + <uintptr_t>offsets[k]))[0] = within(
                    f"{name}[{k}]", part, interval[k] if type(interval) is tuple else interval)
    if 0 < g.eps < smallest:
        out_of_range("eps", g.eps, f"0 or at least {smallest!r}: denormals count as zero")
    return 0


cdef bint never_changes(value) noexcept:
    """Whether the same object will always be the same number."""
    if type(value) is tuple:
        for part in <tuple>value:
            if type(part) is not float and type(part) is not int:
                return False
        return True
    return type(value) in (float, int, bool, str) or value is None


cdef list as_read(dict group):
    """The group's keys and values, one after the other, by which it is known again; None if a value may change and
    stay the same object."""
    cdef list read = []
    for key, value in group.items():
        if not never_changes(value) and key != "params" and key != "schedule":  # which the core does not read
            return None
        read.append(key)
        read.append(value)
    return read


cdef Py_ssize_t changed_since(dict group, list read) noexcept:
    """Where the group no longer holds the very objects in read: the place of its first other value, if it is the only
    one; -1: none is; -2: more than that, or unknown."""
    cdef Py_ssize_t place = 0, i = 0, found = -1
    cdef PyObject *key
    cdef PyObject *value
    if read is None or group is None or 2 * PyDict_Size(group) != PyList_GET_SIZE(read):
        return -2
    while PyDict_Next(group, &place, &key, &value):
        if key != PyList_GET_ITEM(read, i):
            return -2
        if value != PyList_GET_ITEM(read, i + 1) and not (<object>key == "params" or <object>key == "schedule"):
            if found >= 0:
                return -2
            found = i + 1
        i += 2
    return found
