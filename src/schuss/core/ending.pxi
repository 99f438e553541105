# The end of a training, whatever ends it.

cdef class Ending:
    """A context around the epochs of a trainer. At its end the parameters are what is to be evaluated and used."""
    cdef public Trainer trainer
    cdef object network        # has `epochs_done`
    cdef object failure        # the exception that says that training has diverged; None: nothing is restored then
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
            self.trainer.rest()
            in_turn(self.last)


cdef class Endings:
    """A context around the epochs of several trainers, each with an Ending of its own. Whatever ends it ends each of them
    that has not ended by then."""
    cdef list open

    def __cinit__(self, list endings not None):
        self.open = list(endings)

    def __enter__(self):
        return self

    def end(self, Ending ending not None, error=None):
        self.open.remove(ending)
        ending.__exit__(None if error is None else type(error), error, None)

    def __exit__(self, kind, error, traceback):
        cdef Ending ending
        failure = None
        while self.open:
            ending = self.open.pop()
            try:
                ending.__exit__(kind, error, traceback)
            except BaseException as wrong:  # the others are to end all the same
                failure = wrong
        if failure is not None:
            raise failure
