# The end of a training, whatever ends it.

cdef class Ending:
    """A context around the epochs of a trainer. At its end the parameters are what is to be evaluated and used."""
    cdef Trainer trainer
    cdef object network        # has `epochs_done`
    cdef object failure        # the exception that says that training has diverged; None: nothing is restored then
    cdef public object weights # for the stepper's move_params to where the parameters rest; None: they are there always
    cdef object last           # as for in_turn

    def __cinit__(self, Trainer trainer not None, network, failure, last):
        self.trainer, self.network, self.failure, self.last = trainer, network, failure, last

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        try:
            # an interrupt may have come before the failure got its name
            if self.failure is not None and (isinstance(error, self.failure) or error is not None and self.trainer.failed):
                self.network.epochs_done = self.trainer.restore()
        finally:
            self.rest()
            in_turn(self.last)

    cdef int rest(self) except -1:
        cdef Stepper stepper = self.trainer.stepper
        if self.weights is not None and not stepper.resting:
            stepper.move_params(0, self.weights if stepper.c_step.t > 1 else [0.0] * len(self.weights), True)
        return 0
