/* What bodies use of the rest. An isa/LEVEL_DTYPE.c includes it before it opens its target region: what is defined in
 * these headers is compiled for every machine. */
#include <math.h>
#include <string.h>

#include "../kernels.h"
#include "../optim/sides.h"
#include "../recommend/negatives.h"
#include "../rng.h"
#include "../train/kind.h"
