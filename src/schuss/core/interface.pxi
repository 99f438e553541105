# What the extension sees of csrc/schuss.h, and of csrc/kernels.h and csrc/dense/dense.h for single kernels.


cdef extern from "schuss.h" nogil:
    enum:
        SCHUSS_OK
        SCHUSS_MORE
        SCHUSS_NONFINITE
        SCHUSS_BAD_ISA
        SCHUSS_NO_ISA
        SCHUSS_F32
        SCHUSS_F64
        SCHUSS_BF16
        SCHUSS_F16
        SCHUSS_BF16_STOCHASTIC
        SCHUSS_SPLIT
        SCHUSS_8BIT_SIGNED
        SCHUSS_8BIT_UNSIGNED
        SCHUSS_N_FORMATS
        SCHUSS_MAX_STATES
        SCHUSS_MAX_AVERAGES
        SCHUSS_MEMORY
        SCHUSS_LOGITS
        SCHUSS_CROSS_ENTROPY
        SCHUSS_BINARY_CROSS_ENTROPY
        SCHUSS_POISSON
        SCHUSS_GAMMA
        SCHUSS_TWEEDIE
        SCHUSS_FOCAL
        SCHUSS_BINARY_FOCAL
        SCHUSS_NUMBER
        SCHUSS_WHOLE
        SCHUSS_FLAG
        SCHUSS_CHOICE
        SCHUSS_SETTING_PARTS

    const char *schuss_activation_name(int activation)
    const char *schuss_average_name(int kind)
    const char *schuss_dialect_name(int dialect)
    const char *schuss_format_name(int format)
    const char *schuss_init_name(int init)
    const char *schuss_loss_name(int kind)

    const char *schuss_isa_name(int level)
    int schuss_isa_supported(int level)
    int schuss_isa_select(const char *name)
    int schuss_isa_level()
    int schuss_vector_bytes()

    int schuss_cpu_quota()
    int schuss_get_num_threads()
    void schuss_set_num_threads(int n)
    int schuss_set_thread_limit(int n)
    int schuss_worker_count()

    void schuss_philox(const uint32_t *counter, const uint32_t *key, uint32_t *out)
    void schuss_permutation(int64_t *order, ptrdiff_t n, uint64_t seed, uint64_t epoch)
    int schuss_initialise(int dtype, void *w, ptrdiff_t n_in, ptrdiff_t n_out, int init, double scale, uint64_t seed,
                          uint32_t stream, double *room)
    int schuss_draw_rows(int dtype, void *w, ptrdiff_t cols, const int64_t *rows, ptrdiff_t n, double mean, double scale,
                         uint64_t seed, uint32_t stream)

    struct schuss_group:
        int rule
        int rows
        double lr, lr_factor, weight_decay
        double penalty1, penalty2

    struct schuss_setting:
        const char *name
        int kind, parts
        ptrdiff_t *offset
        const char **interval
        int choices
        const char *(*choice)(int place)
        int optional
        double none

    const schuss_setting *schuss_rule_setting(int rule, int index)
    const char *schuss_group_fault(const schuss_group *group, int dtype, const char **expected)
    const char *schuss_rule_memory(int rule, int place)
    int schuss_rule_memory_of_params(int rule)
    int schuss_rule_fills_states(int rule)
    const char *schuss_rule_derived(int rule, int place)
    void schuss_derive(const schuss_group *group, int64_t steps, double *out)
    void schuss_memory_start(const schuss_group *group, double *now)
    double schuss_state_start(const schuss_group *group, int slot)
    int schuss_state_format(int rule, int slot, ptrdiff_t n, int dtype, int wanted)

    struct schuss_clock:
        int group, present
        int64_t behind

    struct schuss_memory:
        double step
        double *now
        double *before
        double resting

    struct schuss_average:
        int kind
        int64_t start, every
        double weight

    struct schuss_stored:
        int p, g
        int *s
        void *low
        void **scale
        void *copy
        int copy_format
        uint64_t seed
        uint32_t number

    struct schuss_segment:
        ptrdiff_t n, rows, cols
        int ndim
        const ptrdiff_t *shape
        void *p
        void *g
        void **s
        void **average
        int group
        int clock
        short absent
        const int64_t *index
        int64_t *last
        const schuss_stored *stored

    struct schuss_step:
        int dtype
        int n_groups, n_segments
        schuss_group *groups
        int n_clocks
        schuss_clock *clocks
        schuss_memory *memories
        schuss_segment *segments
        double *sums
        char *scratch
        int threads
        schuss_average *averages
        void *histories
        int64_t t
        double grad_scale, clip_value, clip_norm
        int n_absent
        int zero_grad, check_first, nonfinite
        double grad_norm

    const char *schuss_rule_name(int rule)
    enum:
        SCHUSS_ROWS_EXACT, SCHUSS_ROWS_LAZY
    const char *schuss_rows_name(int rows)
    int schuss_rule_by_rows(int rule)
    ptrdiff_t schuss_histories_bytes(const schuss_step *step)
    void schuss_histories_begin(schuss_step *step)
    void schuss_catch_up(schuss_step *step, int segment, ptrdiff_t n, const int64_t *index)
    void schuss_catch_up_all(schuss_step *step)
    const char *schuss_state(const schuss_group *group, const schuss_segment *segment, int slot, int *ndim,
                             ptrdiff_t *shape)
    ptrdiff_t schuss_state_side(const schuss_group *group, const schuss_segment *segment, int dimension)
    ptrdiff_t schuss_step_sums(const schuss_step *step)
    ptrdiff_t schuss_step_scratch(schuss_step *step, int threads)
    int schuss_optimizer_step(schuss_step *step)
    enum:
        SCHUSS_WAYS
    int schuss_way(int kind, int number, int *chunk, int *ahead)
    int schuss_way_chosen(int rule, int kind, int several_threads, ptrdiff_t bytes)
    void schuss_way_force(int number)
    void schuss_ways_forget()
    int schuss_gradient_norm(schuss_step *step)
    int schuss_move_params(const schuss_step *step, int slot, const double *weights)

    struct schuss_lbfgs:
        int dtype, n_segments
        const schuss_segment *segments
        ptrdiff_t n
        int most, room, first, count
        void **s
        void **y
        const void **vectors
        double *numbers
        void *d
        void *x
        double scale, slope, largest

    struct schuss_lbfgs_look:
        double slope, total, largest
        int nonfinite

    ptrdiff_t schuss_lbfgs_numbers(int room)
    void schuss_lbfgs_grow(schuss_lbfgs *l, int room, double *numbers)
    void schuss_lbfgs_gather(const schuss_lbfgs *l, void *g, schuss_lbfgs_look *look)
    void schuss_lbfgs_direction(schuss_lbfgs *l, const void *g, const void *before, double t)
    void schuss_lbfgs_append(schuss_lbfgs *l, double rho)
    double schuss_lbfgs_rho(const schuss_lbfgs *l, int age)
    int schuss_lbfgs_move(schuss_lbfgs *l, double t, int keep)
    void schuss_lbfgs_restore(schuss_lbfgs *l)

    ptrdiff_t schuss_first_outside(const int64_t *x, ptrdiff_t n, int64_t limit)
    ptrdiff_t schuss_first_not_rising(const int64_t *x, ptrdiff_t n)
    int schuss_all_within(int dtype, const void *x, ptrdiff_t n, double most)
    double schuss_weight_sum(const double *weights, ptrdiff_t rows)

    enum:
        SCHUSS_NODE_SIZES, SCHUSS_NODE_NUMBERS, SCHUSS_NODE_ARRAYS, SCHUSS_MAX_INPUTS, SCHUSS_INDEX, SCHUSS_REAL, SCHUSS_SPARSE
        SCHUSS_IDENTITY

    struct schuss_node:
        int kind, n_inputs
        const int *inputs
        ptrdiff_t sizes[16]
        double numbers[6]
        int activation
        double alpha, dropout
        int residual, table
        uint32_t stream
        ptrdiff_t channels, positions, members
        int storage, first_array, n_arrays, next_user, within
        ptrdiff_t channel0
        int n_parts

    struct schuss_array:
        const char *name
        int node, users, ndim
        ptrdiff_t n, matrices, rows, cols
        int stepped
        ptrdiff_t at

    struct schuss_net:
        int dtype, n_nodes, n_inputs
        schuss_node *nodes
        int n_arrays
        schuss_array *arrays
        void *params
        void *grads
        uint64_t seed
        double dropout_factor
        ptrdiff_t state
        const ptrdiff_t *entries

    enum:
        SCHUSS_UNWANTED, SCHUSS_WANTED, SCHUSS_WANTED_BY_ROWS, SCHUSS_WANTED_LATE
        SCHUSS_ROWS_GIVEN
    int schuss_net_touches_rows(const schuss_net *net, int array, const unsigned char *compressed)
    const char *schuss_kind_name(int kind)
    const char *schuss_kind_sizes(int kind)
    const char *schuss_kind_numbers(int kind)
    ptrdiff_t schuss_net_shape(schuss_net *net, int *node, const char **what)
    ptrdiff_t schuss_net_slab(const schuss_net *net)
    int schuss_net_reads_compressed(const schuss_net *net, int input)

    struct schuss_compressed:
        const int64_t *start
        const void *indices
        int wide
        const void *data

    enum:
        SCHUSS_FAULT_START, SCHUSS_FAULT_RANGE, SCHUSS_FAULT_ORDER
    int schuss_compressed_fault(const schuss_compressed *rows, ptrdiff_t n_rows, ptrdiff_t entries, ptrdiff_t columns,
                                int doubled)
    int64_t schuss_compressed_columns(const schuss_compressed *rows, ptrdiff_t n_rows)

    struct schuss_hashing:
        uint32_t seed
        int salted
        uint64_t n
        ptrdiff_t columns

    int64_t schuss_code_of_bytes(const schuss_hashing *how, ptrdiff_t i, const void *bytes, ptrdiff_t n)
    int64_t schuss_code_of_integer(const schuss_hashing *how, ptrdiff_t i, int64_t value)
    int64_t schuss_code_of_missing(const schuss_hashing *how, ptrdiff_t i)
    void schuss_codes_of_integers(const schuss_hashing *how, ptrdiff_t count, const void *values, int is_signed,
                                  int64_t *codes)
    ptrdiff_t schuss_codes_of_text(const schuss_hashing *how, ptrdiff_t count, const void *text, ptrdiff_t width, int bytes,
                                   void *room, int64_t *codes)

    struct schuss_input:
        const void *x
        const schuss_compressed *compressed
        const int64_t *order
        const int64_t *lengths
        void *state

    struct schuss_plan:
        pass

    enum:
        SCHUSS_FORWARD_ONLY, SCHUSS_BACKWARD, SCHUSS_BACKWARD_ONCE

    ptrdiff_t schuss_plan_bytes(const schuss_net *net, int passes, int threads)
    schuss_plan *schuss_plan_draw(void *memory, const schuss_net *net, ptrdiff_t max_rows, int passes, int threads,
                                  const unsigned char *wanted)
    ptrdiff_t schuss_plan_room(const schuss_plan *plan)
    void schuss_plan_lay(schuss_plan *plan, void *room)
    void *schuss_forward(schuss_plan *plan, const schuss_input *inputs, ptrdiff_t rows, int flags, uint64_t draw, void *out)
    void schuss_backward(schuss_plan *plan, const schuss_input *inputs, ptrdiff_t rows, int flags, void **dx)
    void *schuss_plan_dout(schuss_plan *plan)
    void *schuss_plan_output(const schuss_plan *plan)
    int schuss_plan_fault(schuss_plan *plan)

    struct schuss_loss:
        int kind, labels
        double parameter
        const void *parameters
        int dialect

    int schuss_loss_wants_labels(int loss_kind)
    int schuss_loss_accepts(int loss_kind, int dtype, const void *target, ptrdiff_t n)
    int schuss_loss_from_logits(int loss_kind, int activation)
    ptrdiff_t schuss_loss_targets(int loss_kind, ptrdiff_t cols)
    double schuss_loss_value(int dtype, const schuss_loss *loss, ptrdiff_t rows, ptrdiff_t cols,
                             const void *prediction, const void *target, const double *weights, double total,
                             void *gradient, double *partial)
    ptrdiff_t schuss_loss_partials(ptrdiff_t rows)

    struct schuss_penalty:
        int group
        double l1, l2
        double *sums

    ptrdiff_t schuss_penalty_sums(const schuss_step *step, int group)

    struct schuss_copy:
        void *live
        void *copy
        ptrdiff_t bytes

    struct schuss_augment:
        ptrdiff_t height, width, channels, item
        double crop
        int flip_down, flip_across
        ptrdiff_t shift_down, shift_across
        char fill[8]

    void schuss_augment_rows(const schuss_augment *augment, uint64_t seed, uint64_t draw, ptrdiff_t first, ptrdiff_t n,
                             const int64_t *order, ptrdiff_t stride, const void *x, void *to)

    struct schuss_kept:
        int array
        ptrdiff_t rows, bytes
        unsigned char *is_kept
        ptrdiff_t room, n
        int64_t *index
        char *values

    struct schuss_feed:
        const void *x
        const schuss_compressed *compressed
        ptrdiff_t row_bytes, stride
        void *batch
        const schuss_augment *augment

    struct schuss_train:
        const schuss_net *net
        schuss_plan *plan
        schuss_step *step
        const int *segments
        schuss_loss loss
        ptrdiff_t rows, batch
        const schuss_feed *feeds
        const void *y
        ptrdiff_t y_row_bytes
        const double *weights
        const int64_t *lengths
        void *state
        int64_t *order
        void *batch_y
        double *batch_weights
        int64_t *batch_lengths
        double *partial
        const double *lr
        const double *const *decays
        const double *dropouts
        const schuss_penalty *penalty
        int augments, counts_rows
        uint64_t draws
        ptrdiff_t position, start
        const schuss_copy *copies
        int n_copies, copied
        schuss_kept *kept
        int n_kept
        double since_copied
        double loss_sum, weight_sum, last_loss
        double *losses
        ptrdiff_t current_rows
        const void *current_y
        const double *current_weights
        double current_total
        int flags

    ptrdiff_t schuss_kept_step(const schuss_train *train, int kept)
    ptrdiff_t schuss_kept_bytes(const schuss_train *train, int array)
    void schuss_kept_restore(schuss_train *train)
    void schuss_train_begin(schuss_train *train)
    double schuss_train_loss(schuss_train *train)
    int schuss_train_end(schuss_train *train, double loss)
    int schuss_train_run(schuss_train *train, double seconds)
    void schuss_train_side_by_side(schuss_train *const *trains, int n, double seconds, int *status)

    struct schuss_side:
        ptrdiff_t n, features
        const int64_t *start
        const int32_t *codes
        const void *values
        void *table
        double alpha

    struct schuss_pairwise:
        int dtype, loss
        ptrdiff_t dim, stride
        int adadelta
        double rho, eps
        const double *lr
        ptrdiff_t lr_step
        schuss_side users, items
        ptrdiff_t n
        const int32_t *seen_users
        const int32_t *seen_items
        const unsigned char *liked
        const void *weights
        const int64_t *order
        const int64_t *known_start
        const int32_t *known
        const uint64_t *known_bits
        ptrdiff_t known_words
        const int32_t *popular
        ptrdiff_t n_popular
        int max_sampled
        const double *rank_losses
        int kos_k, kos_n
        uint64_t seed, epoch
        ptrdiff_t batch
        void *scratch
        ptrdiff_t most_features
        int members
        ptrdiff_t position, steps
        double loss_sum, weight_sum
        int64_t skipped
        int nonfinite

    ptrdiff_t schuss_first_code_outside(const int32_t *codes, ptrdiff_t n, int64_t limit)
    void schuss_known_bits(ptrdiff_t users, const int64_t *known_start, const int32_t *known, ptrdiff_t words, uint64_t *bits)
    ptrdiff_t schuss_pairwise_scratch(const schuss_pairwise *p, int members)
    int schuss_pairwise_run(schuss_pairwise *p, double seconds)
    void schuss_pairwise_represent(int dtype, const schuss_side *side, ptrdiff_t slots, ptrdiff_t stride, void *out)
    void schuss_pairwise_scores(int dtype, ptrdiff_t dim, ptrdiff_t stride, const void *of_users, const void *of_items,
                                ptrdiff_t n, const int32_t *users, const int32_t *items, void *out)
    struct schuss_factors:
        int dtype
        ptrdiff_t n_users, n_items, dim
        void *user_bias
        void *item_bias
        void *user
        void *item
        double mean
        double lr[4]
        double reg[4]
        const int64_t *users
        const int64_t *items
        const void *ratings
        const void *weights
        const int64_t *order

    void schuss_factors_steps(const schuss_factors *f, ptrdiff_t start, ptrdiff_t to, double *sum)
    void schuss_factors_predict(const schuss_factors *f, ptrdiff_t n, void *out)

    struct schuss_ranking:
        int dtype
        ptrdiff_t rows, n_items, dim
        const void *user
        const void *item
        const void *item_bias
        const void *scores
        const int64_t *users
        const schuss_compressed *left_out
        const int64_t *numbers

    struct schuss_best:
        ptrdiff_t k
        int64_t *item
        void *score

    struct schuss_places:
        const schuss_compressed *positives
        int64_t *place
        int64_t *above
        int64_t *level
        void *score
        int64_t *counted
        double *wrong

    void schuss_rank(const schuss_ranking *r, const schuss_best *best, const schuss_places *places, int threads,
                     void *scratch)
    ptrdiff_t schuss_rank_scratch(const schuss_ranking *r, int threads)
    const char *schuss_metric_name(int metric)
    void schuss_rank_metric(int metric, ptrdiff_t k, const schuss_ranking *r, const schuss_places *places,
                            const double *gains, double *discounts, double *sorted, double *out)

cdef extern from "fpmode.h" nogil:
    ctypedef int fpmode
    fpmode fpmode_flush()
    void fpmode_restore(fpmode found)

cdef extern from "optim/stored.h" nogil:
    ptrdiff_t format_bytes(int format)
    ptrdiff_t blocks_8bit(ptrdiff_t n)

cdef extern from "kernels.h" nogil:
    struct tile_end:
        int kind

    struct product "gemm":
        ptrdiff_t m, n, k
        const void *a
        ptrdiff_t a_row, a_col
        const void *b
        ptrdiff_t ldb
        int b_transposed
        void *c
        ptrdiff_t ldc
        tile_end end

    struct rounding:
        uint64_t seed
        uint32_t number
        int64_t t
        ptrdiff_t first

    struct kernels:
        void (*activate)(int activation, double alpha, ptrdiff_t n, const void *x, void *y)
        int (*any_nonfinite)(ptrdiff_t n, const void *x)
        void (*elementary)(int f, ptrdiff_t n, const void *x, void *y)
        void (*narrow)(int format, ptrdiff_t n, const void *x, void *to, void *more, const rounding *rounding)
        void (*widen)(int format, ptrdiff_t n, const void *x, const void *more, void *to)

    const char *schuss_elementary_name(int f)
    const kernels *schuss_kernels(int dtype)

cdef extern from "dense/dense.h" nogil:
    int dense_gemm(const kernels *k, const product *g, int threads, char *scratch)
    ptrdiff_t dense_gemm_scratch(const kernels *kernels, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind,
                                 int threads)
