# Settings of update rules: hyperparameters under the names that users know them by. The core's rows say what they are; here
# they are read from Python.

cdef tuple COUNTS = ("no", "one", "two", "three")


cdef class Setting:
    """One setting of one rule."""
    cdef const schuss_setting *c
    cdef str name
    cdef list names            # of its parts, in messages
    cdef list intervals        # in which they lie, as text
    cdef double low[SCHUSS_SETTING_PARTS]
    cdef double high[SCHUSS_SETTING_PARTS]
    cdef dict choices

    cdef object read(self, value, schuss_group *g):
        """Checks a value and puts it into the group. Returns it as a group's dict is to hold it."""
        cdef int k
        cdef list found = []
        if self.c.parts == 0:
            return self.read_part(0, value, g)
        if not isinstance(value, (tuple, list)) or len(value) != self.c.parts:
            from schuss.arguments import shown

            where = self.intervals[0] if len(set(self.intervals)) == 1 else " and ".join(self.intervals)
            raise ValueError(f"{self.name} must be {COUNTS[self.c.parts]} numbers in {where}; got {shown(value)}")
        for k in range(self.c.parts):
            found.append(self.read_part(k, value[k], g))
        return tuple(found)

    cdef object read_part(self, int k, value, schuss_group *g):
        cdef char *into = <char *>g + self.c.offset[k]
        cdef bint number = self.c.kind == SCHUSS_NUMBER or self.c.kind == SCHUSS_WHOLE
        cdef double x
        if value is None and self.c.optional >> k & 1:
            if number:
                (<double *>into)[0] = self.c.none
            else:
                (<int *>into)[0] = <int>self.c.none
            return None
        if type(value) is ndarray and value.ndim == 0:  # a number that its owner may change
            value = value.item()
        if self.c.kind == SCHUSS_NUMBER:
            x = number_within(self.names[k], value, self.low[k], self.high[k], self.intervals[k])
            (<double *>into)[0] = x
            return x
        if self.c.kind == SCHUSS_WHOLE:
            from schuss.arguments import integer

            whole = integer(self.names[k], value, <long long>self.low[k],
                            None if self.high[k] == INFINITY else <long long>self.high[k])
            if whole > 1 << 53:  # beyond, a double does not tell it from the next
                from schuss.arguments import shown

                raise ValueError(f"{self.names[k]} must be at most 2**53; got {shown(whole)}")
            (<double *>into)[0] = whole
            return whole
        if self.c.kind == SCHUSS_FLAG:
            (<int *>into)[0] = is_true(self.name, value)
            return (<int *>into)[0] != 0
        if type(value) is not str or value not in self.choices:
            from schuss.arguments import choice

            value = choice(self.name, value, self.choices)
        (<int *>into)[0] = self.choices[value]
        return value


cdef Setting setting_of(const schuss_setting *c):
    cdef Setting s = Setting.__new__(Setting)
    cdef int k
    s.c = c
    s.name = c.name.decode()
    s.names = [f"{s.name}[{k}]" for k in range(c.parts)] if c.parts else [s.name]
    s.intervals = []
    if c.kind == SCHUSS_NUMBER or c.kind == SCHUSS_WHOLE:
        for k in range(max(c.parts, 1)):
            interval = c.interval[k].decode()
            s.intervals.append(interval)
            s.low[k], s.high[k] = [float(end) for end in interval[1:-1].split(",")]
    if c.kind == SCHUSS_CHOICE:
        # one without a name is what None stands for
        s.choices = {c.choice(k).decode(): k for k in range(c.choices) if c.choice(k) != NULL}
    return s


cdef list SETTINGS = [None] * len(RULE_NUMBERS)  # by the rule's number: a dict by name; None: not asked for so far


cdef dict settings_by_name(int rule):
    cdef dict found = SETTINGS[rule]
    cdef Setting s
    cdef int i = 0
    if found is None:
        found = {}
        while schuss_rule_setting(rule, i) != NULL:
            s = setting_of(schuss_rule_setting(rule, i))
            found[s.name] = s
            i += 1
        SETTINGS[rule] = found
    return found


cdef int rule_number(name) except -1:
    if type(name) is not str or name not in RULE_NUMBERS:
        from schuss.arguments import choice

        name = choice("rule", name, RULES)
    return RULE_NUMBERS[name]


cdef int read_settings(dict group, schuss_group *g, int dtype) except -1:
    """The numbers of a group's dict. What its rule does not know is not looked at: "params", "schedule", what users add."""
    cdef Setting s
    cdef const char *expected = NULL
    cdef const char *wrong
    memset(g, 0, sizeof(schuss_group))
    g.rule = rule_number(group.get("rule"))
    g.lr_factor = 1
    cdef dict known = settings_by_name(g.rule)
    for name, value in group.items():
        s = known.get(name)
        if s is not None:
            s.read(value, g)
    wrong = schuss_group_fault(g, dtype, &expected)
    if wrong != NULL:
        from schuss.arguments import shown

        name = wrong.decode()
        raise ValueError(f"{name} must be {expected.decode()}; got {shown(group.get(name))}")
    return 0


def checked_settings(rule, dict given):
    cdef schuss_group g
    cdef Setting s
    cdef int number = rule_number(rule)
    cdef dict known = settings_by_name(number), found = {}
    memset(&g, 0, sizeof(g))
    for name, value in given.items():
        s = known.get(name)
        if s is None:
            from schuss.arguments import unknown_name

            raise unknown_name("setting", name, known)
        found[name] = s.read(value, &g)
    return found


# ---- what a rule keeps: states of arrays, memory of groups ----

cdef enum:
    MOST_DIMENSIONS = 64  # NumPy's limit


cdef list states_by_slot(const schuss_group *g, const schuss_segment *segment):
    """Name and shape of the state in each slot; None: there is none."""
    cdef ptrdiff_t shape[MOST_DIMENSIONS]
    cdef int slot, k, ndim = 0
    cdef const char *name
    cdef list found = []
    for slot in range(SCHUSS_MAX_STATES):
        name = schuss_state(g, segment, slot, &ndim, shape)
        found.append(None if name == NULL else (name.decode(), tuple([shape[k] for k in range(ndim)])))
    while found and found[len(found) - 1] is None:
        found.pop()
    return found


cdef class ArrayShape:
    """An array that is no more than its shape, as a segment."""
    cdef ptrdiff_t shape[MOST_DIMENSIONS]
    cdef schuss_segment segment

    def __cinit__(self, shape):
        cdef int k
        memset(&self.segment, 0, sizeof(schuss_segment))
        self.segment.ndim = len(shape)
        for k in range(self.segment.ndim):
            self.shape[k] = shape[k]
        self.segment.shape = self.shape


def sides_of(dict group, shape, dtype):
    cdef schuss_group g
    cdef ArrayShape array = ArrayShape(shape)
    cdef int k = 0
    cdef dict found = {}
    read_settings(group, &g, dtype_of(dtype))
    while schuss_state_side(&g, &array.segment, k) >= 0:
        if schuss_state_side(&g, &array.segment, k) > 0:
            found[k] = schuss_state_side(&g, &array.segment, k)
        k += 1
    return found


cdef list names_in_order(int rule, const char *(*name)(int rule, int place) noexcept nogil):
    cdef list found = []
    while name(rule, len(found)) != NULL:
        found.append(name(rule, len(found)).decode())
    return found


def setting_names(rule):
    return tuple(settings_by_name(rule_number(rule)))


def memory_names(rule):
    return tuple(names_in_order(rule_number(rule), schuss_rule_memory))


def memory_is_of_params(rule):
    return bool(schuss_rule_memory_of_params(rule_number(rule)))


def first_step_fills_states(rule):
    return bool(schuss_rule_fills_states(rule_number(rule)))


def derived_numbers(dict group, int64_t steps):
    cdef schuss_group g
    cdef double values[SCHUSS_MEMORY]
    names = names_in_order(rule_number(group["rule"]), schuss_rule_derived)
    if names:
        read_settings(group, &g, SCHUSS_F64)
        schuss_derive(&g, steps, values)
    return {name: values[k] for k, name in enumerate(names)}


# ---- whether a group has changed ----

cdef bint never_changes(value) noexcept:
    """Whether the same object will always be the same number."""
    if type(value) is tuple:
        for part in <tuple>value:
            if type(part) is not float and type(part) is not int:
                return False
        return True
    return type(value) in (float, int, bool, str) or value is None


cdef tuple NOT_READ = ("params", "schedule", "decay_schedule")  # by the core


cdef list as_read(dict group):
    """The group's keys and values, one after the other, by which it is known again; None if a value may change and
    stay the same object."""
    cdef list read = []
    cdef dict known = settings_by_name(rule_number(group["rule"]))
    for key, value in group.items():
        if not never_changes(value) and (key in known or key == "rule"):
            return None
        read.append(key)
        read.append(value)
    return read


cdef bint is_as_read(dict group, list read) noexcept:
    """Whether the group still holds the very objects in read, which is the rule, and looked at before each step."""
    cdef Py_ssize_t place = 0, i = 0
    cdef PyObject *key
    cdef PyObject *value
    if read is None or group is None or 2 * PyDict_Size(group) != PyList_GET_SIZE(read):
        return False
    while PyDict_Next(group, &place, &key, &value):
        if key != PyList_GET_ITEM(read, i) or value != PyList_GET_ITEM(read, i + 1):
            return False
        i += 2
    return True


cdef bint read_scheduled(dict group, list read, schuss_group *g) except -1:
    """Whether the group still holds the very objects in read, but for what schedules write: then these numbers are read."""
    cdef Py_ssize_t place = 0, i = 0
    cdef PyObject *key
    cdef PyObject *value
    if read is None or group is None or 2 * PyDict_Size(group) != PyList_GET_SIZE(read):
        return False
    while PyDict_Next(group, &place, &key, &value):
        if key != PyList_GET_ITEM(read, i):
            return False
        if value != PyList_GET_ITEM(read, i + 1):
            if <object>key == "lr" and never_changes(<object>value):
                g.lr = number_within("lr", <object>value, 0, INFINITY, "[0, inf)")
                read[i + 1] = <object>value
            elif (<object>key == "weight_decay" and never_changes(<object>value)
                    and "weight_decay" in settings_by_name(g.rule)):
                g.weight_decay = number_within("weight_decay", <object>value, 0, INFINITY, "[0, inf)")
                read[i + 1] = <object>value
            elif <object>key not in NOT_READ:
                return False
        i += 2
    return True
