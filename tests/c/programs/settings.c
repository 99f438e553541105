/* What the catalogue says of every rule's settings, states and memory. With an argument: printed, a line each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "schuss.h"

/* Where an interval such as "[0, inf)" begins and ends. */
static void read_interval(const char *text, double *low, double *high) {
    char *end;
    EXPECT(text != NULL && strchr("[(", text[0]), "an interval begins with a bracket");
    *low = strtod(text + 1, &end);
    EXPECT(end[0] == ',', "an interval has a comma");
    *high = strtod(end + 1, &end);
    EXPECT((end[0] == ']' || end[0] == ')') && end[1] == '\0', "an interval ends with a bracket");
    EXPECT(*low < *high, "an interval is not empty");
}

static void check_setting(const struct schuss_setting *s) {
    const int parts = s->parts ? s->parts : 1, is_double = s->kind == SCHUSS_NUMBER || s->kind == SCHUSS_WHOLE;
    const size_t size = is_double ? sizeof(double) : sizeof(int);
    EXPECT(s->parts >= 0 && s->parts != 1 && parts <= SCHUSS_SETTING_PARTS, "a tuple has two parts or three");
    EXPECT(is_double || parts == 1, "only numbers come in tuples");
    EXPECT(s->optional >> parts == 0, "only parts that are there may be None");
    for (int k = 0; k < parts; k++) {
        double low = 0, high = 0;
        EXPECT(s->offset[k] >= 0 && (size_t)s->offset[k] + size <= offsetof(struct schuss_group, penalty1),
               "a setting lies among the group's numbers");
        EXPECT((size_t)s->offset[k] % size == 0, "a setting is aligned");
        if (is_double) read_interval(s->interval[k], &low, &high);
        else EXPECT(s->interval[k] == NULL, "flags and choices have no interval");
        if (s->kind == SCHUSS_WHOLE)
            EXPECT(low == floor(low) && s->interval[k][0] == '[', "whole numbers begin with one");
    }
    EXPECT((s->kind == SCHUSS_CHOICE) == (s->choices > 0), "choices have names");
    for (int i = 0; i < s->choices; i++)
        EXPECT(s->choice(i) != NULL || (s->optional && s->none == i), "every choice has a name, but what None stands for");
}

static void print_setting(int rule, const struct schuss_setting *s) {
    static const char *const kinds[] = {"number", "whole", "flag", "choice"};
    printf("%s %s %s %d", schuss_rule_name(rule), s->name, kinds[s->kind], s->parts);
    for (int k = 0; k < SCHUSS_SETTING_PARTS && s->interval[k]; k++) printf(" %s", s->interval[k]);
    for (int i = 0; i < s->choices; i++) printf(" %s", s->choice(i) ? s->choice(i) : "None");
    if (s->optional) printf(" None:%d=%g", s->optional, s->none);
    printf("\n");
}

static void check_rule(int rule, int print) {
    const struct schuss_setting *setting, *other;
    for (int i = 0; (setting = schuss_rule_setting(rule, i)); i++) {
        check_setting(setting);
        for (int j = 0; j < i && (other = schuss_rule_setting(rule, j)); j++)
            EXPECT(strcmp(setting->name, other->name) != 0, "a rule's settings have different names");
        if (print) print_setting(rule, setting);
    }
}

/* States of an array of this shape, for groups with every flag off and on: those that the rule touches have names, and
 * no name comes twice. */
static void check_states(int rule, int ndim, const ptrdiff_t *shape, int print) {
    const struct schuss_segment segment = {.ndim = ndim, .shape = shape, .n = 6};
    for (int flags = 0; flags < 2; flags++) {
        struct schuss_group group = {.rule = rule, .momentum = flags, .amsgrad = flags, .centered = flags,
                                     .beta1 = flags, .max_precond_dim = 100};
        const char *names[SCHUSS_MAX_STATES];
        const int touched = schuss_rule_states(&group);
        for (int slot = 0; slot < SCHUSS_MAX_STATES; slot++) {
            ptrdiff_t found[4] = {0};
            int n = -1;
            names[slot] = schuss_state(&group, &segment, slot, &n, found);
            if (touched >> slot & 1) EXPECT(names[slot] != NULL, "a state that is touched has a name");
            if (!names[slot]) continue;
            EXPECT(n >= 0 && n <= (ndim > 1 ? ndim : 1), "a state has not more dimensions than its array");
            for (int before = 0; before < slot; before++)
                EXPECT(!names[before] || strcmp(names[before], names[slot]) != 0, "states have different names");
            if (!print) continue;
            printf("%s state %d %s", schuss_rule_name(rule), slot, names[slot]);
            for (int k = 0; k < n; k++) printf(" %td", found[k]);
            printf("\n");
        }
        EXPECT(schuss_state(&group, &segment, SCHUSS_MAX_STATES, NULL, NULL) == NULL, "slots end");
    }
}

static int same(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

static void check_faults(void) {
    const char *expected;
    struct schuss_group group = {.rule = SCHUSS_SGD, .nesterov = 1, .momentum = 0.9};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), NULL), "nesterov with momentum");
    group.dampening = 0.1;
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), "nesterov"), "nesterov with dampening");
    group = (struct schuss_group){.rule = SCHUSS_LARS, .nesterov = 1};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), "nesterov"), "nesterov without momentum");
    group = (struct schuss_group){.rule = SCHUSS_MUON, .nesterov = 1};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), NULL), "Muon's nesterov goes with any momentum");
    group = (struct schuss_group){.rule = SCHUSS_LAMB, .clamp_low = 2, .clamp_high = 1};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), "clamp"), "clamp in the wrong order");
    group = (struct schuss_group){.rule = SCHUSS_RPROP, .smallest_step = 2, .largest_step = 1};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), "step_sizes"), "step sizes in the wrong order");
    group = (struct schuss_group){.rule = SCHUSS_ADAM, .eps = 1e-40};
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F32, &expected), "eps"), "an eps that is denormal in float");
    EXPECT(same(schuss_group_fault(&group, SCHUSS_F64, &expected), NULL), "but not in double");
}

static void check_starts(void) {
    double now[SCHUSS_MEMORY];
    struct schuss_group group = {.rule = SCHUSS_RPROP, .lr = 0.25};
    EXPECT(schuss_state_start(&group, 0) == 0 && schuss_state_start(&group, 1) == 0.25, "step sizes begin with lr");
    group = (struct schuss_group){.rule = SCHUSS_YOGI, .initial_accumulator_value = 0.5};
    EXPECT(schuss_state_start(&group, 0) == 0 && schuss_state_start(&group, 1) == 0.5, "the second moment begins so");
    group = (struct schuss_group){.rule = SCHUSS_PRODIGY, .d0 = 0.125};
    schuss_memory_start(&group, now);
    EXPECT(now[0] == 0.125 && now[1] == 0.125 && now[2] == 0, "d begins with d0");
    group = (struct schuss_group){.rule = SCHUSS_ADAM};
    schuss_memory_start(&group, now);
    for (int k = 0; k < SCHUSS_MEMORY; k++) EXPECT(now[k] == 0, "a rule that remembers nothing begins with zeros");
    group = (struct schuss_group){.rule = SCHUSS_ASGD, .lr = 0.5, .alpha = 0.75, .t0 = 2};
    schuss_derive(&group, 12, now);
    EXPECT(now[0] == 0.5 && now[1] == 0.1, "without lambd the rate stays");
    EXPECT(same(schuss_rule_derived(SCHUSS_ASGD, 0), "eta") && same(schuss_rule_derived(SCHUSS_ASGD, 2), NULL), "names");
    EXPECT(same(schuss_rule_memory(SCHUSS_NADAM, 0), "mu_product"), "the name of a memory");
    EXPECT(same(schuss_rule_memory(SCHUSS_NADAM, 1), NULL), "there is one");
    EXPECT(schuss_rule_memory_of_params(SCHUSS_NADAM) && !schuss_rule_memory_of_params(SCHUSS_PRODIGY), "whose it is");
    EXPECT(schuss_rule_fills_states(SCHUSS_SGD) && !schuss_rule_fills_states(SCHUSS_ADAM), "who fills states");
}

static void check_sides(void) {
    const ptrdiff_t shape[] = {3, 200, 4};
    const struct schuss_segment segment = {.ndim = 3, .shape = shape, .n = 2400};
    const struct schuss_group group = {.rule = SCHUSS_SOAP, .max_precond_dim = 100};
    EXPECT(schuss_state_side(&group, &segment, 0) == 3, "a side with a square");
    EXPECT(schuss_state_side(&group, &segment, 1) == 0, "a side that is too long");
    EXPECT(schuss_state_side(&group, &segment, 2) == 4, "another square");
    EXPECT(schuss_state_side(&group, &segment, 3) == -1, "sides end");
    EXPECT(schuss_state_squares(&group, &segment) == 9 + 16, "their sum");
}

static void check_names(void) {
    EXPECT(same(schuss_activation_name(SCHUSS_SOFTMAX), "softmax"), "an activation");
    EXPECT(same(schuss_activation_name(SCHUSS_N_ACTIVATIONS), NULL), "activations end");
    EXPECT(same(schuss_loss_name(SCHUSS_BINARY_FOCAL), "binary_focal"), "a loss");
    EXPECT(same(schuss_loss_name(SCHUSS_N_LOSSES), NULL), "losses end");
    EXPECT(same(schuss_init_name(SCHUSS_INIT_ORTHOGONAL), "orthogonal"), "an initialisation");
    EXPECT(same(schuss_dialect_name(SCHUSS_KERAS), "keras"), "a dialect");
    EXPECT(same(schuss_average_name(SCHUSS_LOOKAHEAD), "lookahead"), "an average");
    EXPECT(same(schuss_adjust_lr_name(SCHUSS_ADJUST_MATCH_RMS_ADAMW), "match_rms_adamw"), "a way to adjust lr");
    EXPECT(same(schuss_products_name(SCHUSS_PRODUCTS_OF_BF16), "bfloat16"), "what products are rounded to");
    EXPECT(same(schuss_rule_name(SCHUSS_SCHEDULE_FREE_ADAMW), "schedule_free_adamw"), "a rule");
    EXPECT(same(schuss_rule_name(SCHUSS_N_RULES), NULL) && same(schuss_rule_name(-1), NULL), "rules end");
}

int main(int argc, char **argv) {
    static const ptrdiff_t shape[] = {2, 3};
    (void)argv;
    for (int rule = 0; rule < SCHUSS_N_RULES; rule++) {
        check_rule(rule, argc > 1);
        for (int ndim = 0; ndim <= 2; ndim++) check_states(rule, ndim, shape, argc > 1 && ndim == 2);
    }
    check_faults();
    check_starts();
    check_sides();
    check_names();
    return 0;
}
