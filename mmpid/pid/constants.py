"""Constants that several parts of the solver share: methods, tolerances, and how the interior point steps."""

import math

LN2 = math.log(2.0)
PID_METHODS = ("exact", "fastpid")
DEFAULT_TOL = 1e-6  # bits
GRADIENT_TOL = 1e-9  # bits: the multipliers, and with them the gradient, are accurate at this gap
FINEST_TOL = 9.5e-13  # bits: no smaller gap is aimed at, steps toward it go astray
MAX_ITER = 100
SUM_TOLERANCE = 1e-4  # how far from 1 the sum of a table may be
NEGLIGIBLE = 1e-60  # cells below this are worth less than 1e-57 bit: 0 to the solver, whose products would underflow
TINY = 1e-300  # keeps denominators and arguments of logarithms above 0
SAME_STATE = 4e-15  # largest difference of p(y | x) between states that count as one

SMALL_CELLS = 128  # cells (x1, x2, y) up to which calls are all that a problem costs
SWEEPS = 24  # alternations before the first step: they cost about half a step
SHIFT = 0.2  # the start is moved into the dual constraints by this share of its mean slack ...
LEAST_SHIFT = 1e-4  # ... but at least by this
MOST_SLACK = 30.0  # at the start
CENTRAL = 0.1  # no product R (exp(g) - 1) of the start is below this share of their mean
TO_BOUNDARY = 0.995  # the share of the way to the boundary that a step may go
MOST_TURN = 4.0  # no log w moves further in one step: beyond this its linearization, and q with it, runs away
FLOOR = 0.1  # no target below this share of the tolerance: going further only ruins the conditioning
CERTIFY = 10  # every so many iterations all bounds are computed
PATIENCE = 30  # with fewer iterations allowed than this, a miss says nothing about the method
JITTER = 1e-13  # share by which a diagonal is raised before a factorization
TRIES = 10  # times that a failed factorization is tried again with a larger share
