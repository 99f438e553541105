/* The names of all update rules. The functions are in rules/. PLAIN(NAME, function) goes element by element. So does
 * MEASURED(NAME, function), after sums over whole arrays, for which function_sums makes a pass of its own. MATRIX(NAME,
 * function) steps whole arrays by function_array; function_sums and function are its passes over elements. BY_ROW(NAME,
 * function) goes row by row: function_row says what follows from a row's sum of squares for its elements. */
#ifndef SCHUSS_OPTIM_LIST_H
#define SCHUSS_OPTIM_LIST_H

#define SCHUSS_RULES(PLAIN, MEASURED, MATRIX, BY_ROW) \
    PLAIN(SGD, sgd)                                   \
    PLAIN(ADAGRAD, adagrad)                           \
    PLAIN(RMSPROP, rmsprop)                           \
    PLAIN(ADAM, adam)                                 \
    PLAIN(ADADELTA, adadelta)                         \
    PLAIN(ADAMAX, adamax)                             \
    PLAIN(NADAM, nadam)                               \
    PLAIN(RADAM, radam)                               \
    PLAIN(ADABELIEF, adabelief)                       \
    PLAIN(LION, lion)                                 \
    PLAIN(SIGNUM, signum)                             \
    PLAIN(RPROP, rprop)                               \
    PLAIN(ASGD, asgd)                                 \
    PLAIN(YOGI, yogi)                                 \
    PLAIN(LAPROP, laprop)                             \
    PLAIN(ADOPT, adopt)                               \
    PLAIN(ADEMAMIX, ademamix)                         \
    PLAIN(ADAN, adan)                                 \
    PLAIN(FTRL, ftrl)                                 \
    PLAIN(SCHEDULE_FREE_SGD, schedule_free_sgd)       \
    PLAIN(SCHEDULE_FREE_ADAMW, schedule_free_adamw)   \
    MEASURED(LARS, lars)                              \
    MEASURED(LAMB, lamb)                              \
    MEASURED(NOVOGRAD, novograd)                      \
    MEASURED(PRODIGY, prodigy)                        \
    MATRIX(ADAFACTOR, adafactor)                      \
    MATRIX(MUON, muon)                                \
    MATRIX(SOAP, soap)                                \
    BY_ROW(ROWADAGRAD, rowadagrad)

#endif

/* Their files, of which one part is included at a time: RULE_LOOPS: the loops, bodies of isa/; RULE_ARRAYS: what MATRIX
 * rules do with whole arrays, bodies too; RULE_ROWS: the rows of catalogue.c. A row may use what is in files before. */
#if defined RULE_LOOPS || defined RULE_ARRAYS || defined RULE_ROWS
#include "rules/sgd.h"
#include "rules/adagrad.h"
#include "rules/rmsprop.h"
#include "rules/adam.h"
#include "rules/adadelta.h"
#include "rules/adamax.h"
#include "rules/nadam.h"
#include "rules/radam.h"
#include "rules/adabelief.h"
#include "rules/lion.h"
#include "rules/signum.h"
#include "rules/rprop.h"
#include "rules/asgd.h"
#include "rules/yogi.h"
#include "rules/laprop.h"
#include "rules/adopt.h"
#include "rules/ademamix.h"
#include "rules/adan.h"
#include "rules/ftrl.h"
#include "rules/schedule_free.h"
#include "rules/lars.h"
#include "rules/lamb.h"
#include "rules/novograd.h"
#include "rules/prodigy.h"
#include "rules/adafactor.h"
#include "rules/muon.h"
#include "rules/soap.h"
#include "rules/rowadagrad.h"
#endif
