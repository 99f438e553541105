/* Values side by side. It computes nothing: the nodes that make these values write into its memory, and a node that
 * computes its gradient hands each of them its part. Its shape is in train/shape.c, since it has many inputs. */

static const struct kind concatenate_kind = {.name = "concatenate", .sizes = "", .numbers = ""};
