/* The plan of a network's passes: which calls, in which order, with which memory, and where members wait. All of it is
 * decided before the first pass. Inside the core only.
 *
 *   shape.c    nodes -> shapes, places of arrays
 *   draw.c     the calls, and which of them hand a gradient to whom
 *   buffers.c  what a call reads and writes; from that, lifetimes and places of buffers
 *   waits.c    from that, where members wait
 *   here.c     the pointers that each member has at each node */
#ifndef SCHUSS_PLAN_H
#define SCHUSS_PLAN_H

#include "kind.h"
#include "pace.h"

/* GROUP: a table's rows are found that the batch touches. FORWARD, DOWN, GRADIENTS: the kind's functions. DRAW: what dropout leaves. END: softmax. OUTPUT: the derivative of the end of the
 * network's value. ADD: a gradient is added to that by the residual. LOSS: no function is called; it stands for what
 * the loss reads and writes. */
enum call_type { CALL_GROUP, CALL_DRAW, CALL_FORWARD, CALL_END, CALL_LOSS, CALL_OUTPUT, CALL_ADD, CALL_DOWN, CALL_GRADIENTS };

struct call {
    unsigned char type;
    unsigned char outside; /* 1: it uses what a pass brings, such as inputs, outputs and flags */
    unsigned char only_dx; /* 1: nothing needs it but gradients by the network's inputs */
    ptrdiff_t positions;   /* which each row counts as, to what is called */
    int node;
    const struct kind *kind;
    int columns_up_to;     /* teams of so many members share it by columns, larger ones by rows */
    int first_link, n_links;
};

/* A part of a value's gradient: a call computes it, as its columns [first, first + n), and adds it to what is there. */
struct link {
    int value;
    ptrdiff_t first, n;
    /* What is there. STARTS_NEW: nothing. STARTS_OWN: parts that came before. Else the number of a node: the gradient
     * by that node's value, which is a part too and still lies where it was computed. */
    int start;
    int finishes; /* 1: it is the value's last part, so the derivative of the end is applied */
};
enum { STARTS_NEW = -1, STARTS_OWN = -2 };

/* The buffers of each node. */
enum buffer_role {
    DATA,    /* the value */
    VALUES,  /* what the derivative of the end is computed from, where the value is something else by then */
    MASK,    /* a bit for each element: whether dropout leaves it */
    DELTA,   /* the gradient by what the kind computed */
    RAW,     /* the gradient by the value, where it is not DELTA and the residual needs it */
    KEPT,    /* the kind's own, from forward to backward */
    ARRAYS,  /* parameters and states: never placed, only waited for */
    BUFFER_ROLES
};

struct buffer {
    int used;            /* 1: it exists */
    int outside;         /* 1: its memory comes with the pass */
    ptrdiff_t positions; /* of a row, */
    ptrdiff_t row;       /* and elements from one to the next; 0: not rows */
    ptrdiff_t bytes;
    int first, last;     /* the first and the last call that use it; first -1: none does */
    int slot;
    ptrdiff_t at;        /* bytes into the room */
};

struct node_plan {
    int reaches, trains; /* whether its gradient is needed; whether it is for gradients by parameters */
    int left;            /* parts of its gradient to come */
    int start;           /* what the next of them finds there, as in struct link */
    int maker;           /* the node whose kind makes the value: its own, or the one before, which it is folded into */
    int is_skipped;      /* whether the value of the node behind is made in place of its own */
    int drops;           /* whether the end has dropout, */
    double dropout;      /* and its probability in this pass */
    int values_activated; /* whether VALUES are what comes out of the activation, else what goes in */
    unsigned char wanted[SCHUSS_NODE_ARRAYS];
    struct needs needs;
    struct buffer buffers[BUFFER_ROLES];
};

struct schuss_plan {
    const struct kernels *kernels; /* those it was drawn for: another level's may need more scratch */
    const struct schuss_net *net;
    ptrdiff_t max_rows;
    int passes, threads;
    int by_rows;           /* 1: each thread has rows of its own in all layers, forward and back, before any weight
                              changes. 0: all threads share each layer's product where that is large */
    struct pace pace;      /* of training steps */
    double row_time;       /* nanoseconds, roughly, of a row forward on one thread */
    double parameters;
    double dropout_factor; /* by which probabilities of dropout are multiplied in this pass; see plan_set_dropout() */
    int n_calls, n_links;
    int loss_call;         /* calls before this one are the forward pass */
    int after_enter;       /* calls between that one and this one begin the backward pass; then all members wait */
    struct call *calls;
    struct link *links;
    int n_tables;
    struct table *tables;
    struct node_plan *nodes;
    unsigned char *waits;  /* [inputs were gathered: 0, 1][members - 1][n_calls] whether to wait before the call */
    struct member_node *members; /* [threads][n_nodes] */
    struct part *outputs;  /* [threads][parts of the network's value] */
    char *rest;            /* memory for parts and prepared bytes */
    ptrdiff_t scratch_each, room;
    ptrdiff_t tables_at;   /* bytes into the room */
    char *memory;          /* the room */
    int fault;
};

/* What a member holds of a node: for its kind, and for the end. */
struct member_node {
    struct here here;
    struct matrix mask;
    struct matrix raw;         /* the gradient by the value */
    int n_added;               /* parts of the gradient by the residual, to which it is added */
    struct part *to_added;
};

/* One access of a call to a buffer. all: 1 if a member also accesses rows of others. */
struct access {
    int node, role;
    int writes, all;
};
enum { MOST_ACCESSES = 12 };

static inline struct buffer *buffer_of(const struct schuss_plan *plan, int node, enum buffer_role role) {
    return &plan->nodes[node].buffers[role];
}
/* Whether it has memory in the room. */
static inline int has_place(const struct buffer *b) { return b->used && !b->outside && b->first >= 0; }
/* The activation as far as it goes element by element: softmax is a call of its own. */
static inline int pointwise_activation(const struct schuss_node *node) {
    return node->activation == SCHUSS_SOFTMAX ? SCHUSS_IDENTITY : node->activation;
}
/* Elements of a position of the node's value in this plan. */
static inline ptrdiff_t value_columns(const struct schuss_plan *plan, int node) {
    const struct schuss_node *n = &plan->net->nodes[node];
    return plan->passes == SCHUSS_FORWARD_ONLY ? n->channels : n->channels * n->members;
}
/* What the derivative of the node's end is computed from. */
static inline enum buffer_role values_role(const struct schuss_plan *plan, int node) {
    return plan->nodes[node].buffers[VALUES].used ? VALUES : DATA;
}
/* Sets what all probabilities of dropout are multiplied by. Before a pass, while no member walks. */
static inline void plan_set_dropout(struct schuss_plan *plan, double factor) {
    if (factor == plan->dropout_factor) return;
    plan->dropout_factor = factor;
    for (int i = 0; i < plan->net->n_nodes; i++) plan->nodes[i].dropout = plan->net->nodes[i].dropout * factor;
}

/* Whether the value itself tells what dropout left, as far as the derivative is concerned: relu's does. */
static inline int shows_mask(const struct schuss_node *node) {
    return node->activation == SCHUSS_RELU && node->residual < 0;
}
/* Where the gradient by the node's value lies, the end included. */
static inline enum buffer_role gradient_role(const struct schuss_plan *plan, int node) {
    return plan->nodes[node].buffers[RAW].used ? RAW : DELTA;
}
/* Whether the end has nothing that a derivative needs: softmax and the residual are not asked about. */
static inline int end_is_trivial(const struct schuss_node *node, const struct node_plan *p) {
    return pointwise_activation(node) == SCHUSS_IDENTITY && !p->drops;
}
/* The concatenation that holds the value's memory, or its own node. */
static inline int root_of(const struct schuss_net *net, int value) {
    while (net->nodes[value].within >= 0) value = net->nodes[value].within;
    return value;
}
/* The first column that the value has in that memory. */
static inline ptrdiff_t column_of(const struct schuss_net *net, int value) {
    ptrdiff_t column = 0;
    for (; net->nodes[value].within >= 0; value = net->nodes[value].within) column += net->nodes[value].channel0;
    return column;
}

/* The table whose first user the node is; NULL: none. */
static inline struct table *table_of(const struct schuss_plan *plan, int node) {
    for (int k = 0; k < plan->n_tables; k++)
        if (plan->tables[k].node == node) return &plan->tables[k];
    return NULL;
}
/* The node behind `user` that uses the table whose gradients a call computes; user 0: behind the call's own. 0: there is none. */
static inline int next_user(const struct schuss_plan *plan, const struct call *call, int user) {
    return call->type == CALL_GRADIENTS ? plan->net->nodes[user ? user : call->node].next_user : 0;
}
/* buffers.c: what the gradients by a table access of another node that uses it. */
int user_accesses(const struct schuss_plan *plan, int user, struct access *list);
/* buffers.c: what call `number` accesses, besides its links, if it is shared by columns or not; returns how many. And
 * those of a link. */
int call_accesses(const struct schuss_plan *plan, int number, int by_columns, struct access *list);
int link_accesses(const struct schuss_plan *plan, const struct link *link, int by_columns, struct access *list);
/* Sizes, lifetimes and places of all buffers; returns their bytes, -1: overflow. */
ptrdiff_t plan_buffers(struct schuss_plan *plan);
/* tables.c: the tables of the plan, whose wanted gradients are these, into plan->tables; returns their number. Where plan is
 * NULL it is only the number. */
int plan_tables(struct schuss_plan *plan, const struct schuss_net *net, int passes, const unsigned char *wanted);
/* Bytes of what lies in the plan for them. */
ptrdiff_t tables_bytes(const struct schuss_plan *plan);
/* Gives them their places. */
void tables_lay(struct schuss_plan *plan, char *memory);
/* Nanoseconds, roughly, that a row of the batch costs in a table, a third of what it does in a step. */
double table_time(const struct schuss_plan *plan, const struct table *t);
/* CALL_GROUP. */
struct outside;
void table_group(struct schuss_plan *plan, struct table *table, const struct outside *outside, struct team *me);
/* waits.c: fills plan->waits. */
void plan_waits(struct schuss_plan *plan);
/* here.c: the bytes that a node needs of plan->rest. */
ptrdiff_t here_bytes(const struct schuss_net *net, int node, const struct node_plan *p, int threads);
/* here.c: fills plan->rest, and what each member holds of each node. */
void plan_here(struct schuss_plan *plan);

/* Nanoseconds, roughly, that one thread needs for a pass forward over so many rows, and for a whole training step.
 * The same on all machines: threads are chosen by it. */
double plan_forward_time(const struct schuss_plan *plan, ptrdiff_t rows);
double plan_step_time(const struct schuss_plan *plan, ptrdiff_t rows);

#endif
