# Names of what the core knows, and their numbers there.

ctypedef const char *(*name_of)(int number) noexcept nogil


cdef dict numbers_by_name(name_of name):
    cdef dict found = {}
    while name(len(found)) != NULL:
        found[name(len(found)).decode()] = len(found)
    return found


cdef dict ACTIVATION_NUMBERS = numbers_by_name(schuss_activation_name)
cdef dict AVERAGE_NUMBERS = numbers_by_name(schuss_average_name)
cdef dict DIALECT_NUMBERS = numbers_by_name(schuss_dialect_name)
cdef dict ELEMENTARY_NUMBERS = numbers_by_name(schuss_elementary_name)
cdef dict FORMAT_NUMBERS = numbers_by_name(schuss_format_name)
cdef dict INIT_NUMBERS = numbers_by_name(schuss_init_name)
cdef dict LOSS_NUMBERS = numbers_by_name(schuss_loss_name)
cdef dict METRIC_NUMBERS = numbers_by_name(schuss_metric_name)
cdef dict RULE_NUMBERS = numbers_by_name(schuss_rule_name)

ACTIVATIONS = tuple(ACTIVATION_NUMBERS)
LOSSES = tuple(LOSS_NUMBERS)
RULES = tuple(RULE_NUMBERS)
