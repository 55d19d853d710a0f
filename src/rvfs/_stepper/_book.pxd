# The page of an instance of a hybrid automaton, in numbers of 64 bits: for C, and `__init__.py` reads
# them here for Python, too. What belongs to an instance stands together, in one line of the cache
# or two.
cdef enum:
    SINCE = 0  # when it came to its row (ns)
    ARMED = 1  # when its timer runs out
    DUE = 2  # when the heap of timers looks at it
    WHERE = 3  # its place there, or -1
    FIRST = 4  # the first of its registers
