/* What the rows of rules share. Inside catalogue.c only. */

/* ---- settings ---- */

#define AT(FIELD) offsetof(struct schuss_group, FIELD)
#define NUMBER(NAME, FIELD, INTERVAL) \
    {.name = NAME, .kind = SCHUSS_NUMBER, .offset = {AT(FIELD)}, .interval = {INTERVAL}}
#define WHOLE(NAME, FIELD, INTERVAL) \
    {.name = NAME, .kind = SCHUSS_WHOLE, .offset = {AT(FIELD)}, .interval = {INTERVAL}}
#define FLAG(NAME, FIELD) {.name = NAME, .kind = SCHUSS_FLAG, .offset = {AT(FIELD)}}
/* Its value is the place of a name, one of the first COUNT that NAME_BY_PLACE has. */
#define CHOICE(NAME, FIELD, COUNT, NAME_BY_PLACE) \
    {.name = NAME, .kind = SCHUSS_CHOICE, .offset = {AT(FIELD)}, .choices = COUNT, .choice = NAME_BY_PLACE}
#define PAIR(NAME, FIRST, FIRST_INTERVAL, SECOND, SECOND_INTERVAL) \
    {.name = NAME, .kind = SCHUSS_NUMBER, .parts = 2, .offset = {AT(FIRST), AT(SECOND)}, \
     .interval = {FIRST_INTERVAL, SECOND_INTERVAL}}
#define TRIPLE(NAME, FIRST, SECOND, THIRD, INTERVAL) \
    {.name = NAME, .kind = SCHUSS_NUMBER, .parts = 3, .offset = {AT(FIRST), AT(SECOND), AT(THIRD)}, \
     .interval = {INTERVAL, INTERVAL, INTERVAL}}
#define NUMBER_OR_NONE(NAME, FIELD, INTERVAL, NONE) \
    {.name = NAME, .kind = SCHUSS_NUMBER, .offset = {AT(FIELD)}, .interval = {INTERVAL}, .optional = 1, .none = NONE}
#define SETTINGS(...) (const struct schuss_setting[]){__VA_ARGS__, {.name = NULL}}

/* Those of many rules. */
#define BETAS PAIR("betas", beta1, "[0, 1)", beta2, "[0, 1)")
#define THREE_BETAS TRIPLE("betas", beta1, beta2, beta3, "[0, 1)")
#define EPS NUMBER("eps", eps, "[0, inf)")
#define MOMENTUM NUMBER("momentum", momentum, "[0, inf)")
#define WEIGHT_DECAY NUMBER("weight_decay", weight_decay, "[0, inf)")
#define DECOUPLED_WEIGHT_DECAY FLAG("decoupled_weight_decay", decoupled)
#define NESTEROV FLAG("nesterov", nesterov)
#define ADAPT FLAG("adapt", adapt)
#define ROWS \
    {.name = "rows", .kind = SCHUSS_CHOICE, .offset = {AT(rows)}, .choices = SCHUSS_N_ROWS, .choice = schuss_rows_name, \
     .optional = 1, .none = SCHUSS_ROWS_GIVEN}
#define INITIAL_ACCUMULATOR_VALUE NUMBER("initial_accumulator_value", initial_accumulator_value, "[0, inf)")
/* For rules that know scikit-learn's form too, and for those that do not. */
#define ANY_DIALECT CHOICE("dialect", dialect, SCHUSS_N_DIALECTS, schuss_dialect_name)
#define TORCH_OR_KERAS CHOICE("dialect", dialect, SCHUSS_KERAS + 1, schuss_dialect_name)

/* ---- states ---- */

/* The shape of the state in this slot, where it is the array's. */
static int shape_of_array(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape) {
    (void)g;
    (void)slot;
    for (int k = 0; k < s->ndim; k++) shape[k] = s->shape[k];
    return s->ndim;
}

/* The first n slots. */
static int states_of(int n) { return (1 << n) - 1; }

/* ---- constants ---- */

/* The logarithm of 1e-40; see struct coast. */
#define NOTHING (-92.1)

/* What leaves everything as it is, but for decoupled decay; coupled decay makes gradients of the parameters, so the step
 * has no closed form here. 0: it does. */
static int coast_without_l2(const struct rule_constants *c, struct coast *k) {
    *k = (struct coast){.p_of_p = held(c->keep, c->dtype), .s_of_s = 1, .others = {1, 1}, .nothing = NOTHING};
    return c->l2 == 0 && c->l1 == 0;
}

enum { FLOPS_PER_NANOSECOND = 100 }; /* of products on one thread, roughly */

/* Weight decay by the rule itself. */
static void own_decay(const struct schuss_group *g, struct rule_constants *c) {
    c->decay = g->weight_decay;
    c->l2 = 0;
}
