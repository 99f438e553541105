/* Values side by side. It computes nothing: its inputs' makers write into its memory, and whoever computes its gradient
 * hands each its part. Its shape is in train/shape.c, since it is of many inputs. */

static const struct kind concatenate_kind = {.name = "concatenate", .sizes = "", .numbers = ""};
