/* The names of all update rules. PLAIN(NAME, function): element by element; the function is in rules/. MEASURED(NAME,
 * function): the same, after sums over whole arrays, which function_sums takes in a pass of its own. MATRIX(NAME,
 * function): function_array takes whole arrays; function_sums and function are its passes over the elements. */
#ifndef SCHUSS_OPTIM_LIST_H
#define SCHUSS_OPTIM_LIST_H

#define SCHUSS_RULES(PLAIN, MEASURED, MATRIX)       \
    PLAIN(SGD, sgd)                                 \
    PLAIN(ADAGRAD, adagrad)                         \
    PLAIN(RMSPROP, rmsprop)                         \
    PLAIN(ADAM, adam)                               \
    PLAIN(ADADELTA, adadelta)                       \
    PLAIN(ADAMAX, adamax)                           \
    PLAIN(NADAM, nadam)                             \
    PLAIN(RADAM, radam)                             \
    PLAIN(ADABELIEF, adabelief)                     \
    PLAIN(LION, lion)                               \
    PLAIN(SIGNUM, signum)                           \
    PLAIN(RPROP, rprop)                             \
    PLAIN(ASGD, asgd)                               \
    PLAIN(YOGI, yogi)                               \
    PLAIN(ADOPT, adopt)                             \
    PLAIN(ADEMAMIX, ademamix)                       \
    PLAIN(ADAN, adan)                               \
    PLAIN(FTRL, ftrl)                               \
    PLAIN(SCHEDULE_FREE_SGD, schedule_free_sgd)     \
    PLAIN(SCHEDULE_FREE_ADAMW, schedule_free_adamw) \
    MEASURED(LARS, lars)                            \
    MEASURED(LAMB, lamb)                            \
    MEASURED(NOVOGRAD, novograd)                    \
    MEASURED(PRODIGY, prodigy)                      \
    MATRIX(ADAFACTOR, adafactor)                    \
    MATRIX(MUON, muon)                              \
    MATRIX(SOAP, soap)

#endif
