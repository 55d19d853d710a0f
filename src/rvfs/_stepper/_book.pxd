# The page of an instance of a hybrid automaton, in numbers of 64 bits: for C, and `__init__.py` reads
# them here for Python, too. What belongs to an instance stands together, in one line of the cache
# or two.
cdef enum:
    ROW = 0
    SINCE = 1  # when it came there (ns)
    ARMED = 2  # when its timer runs out
    DUE = 3  # when the heap of timers looks at it
    WHERE = 4  # its place there, or -1
    FIRST = 5  # the first of its registers
