# What the decoder and who calls it agree upon: numbers for C, which `__init__.py` reads here for
# Python, too.

# What is kept of a CPU, LANE numbers. Places are those of the file.
cdef enum:
    AT = 0  # behind the last event that was found
    END = 1  # the end of its page's events
    NEXT = 2  # the page after it
    FILLED = 3  # how far it may go
    TIME = 4  # of the last event that was found, as recorded
    LAST = 5  # what orders it: the same, but it never goes back
    POS = 6  # where the next event is among those that were found
    STOP = 7  # the end of these
    KEY = 8  # what orders the next event
    OWED = 9  # events lost before it
    UNCOUNTED = 10  # whether the kernel did not count them all
    FAULT = 11  # what is wrong, or FINE; the lane ends there
    FAULT_AT = 12
    FAULT_VALUE = 13
    CPU = 14
    LANE = 16

# What is found of an event, FOUND numbers; of a lane WINDOW of them, room for two events more than
# are found before they are merged.
cdef enum:
    ORDER = 0  # what orders it
    WHEN = 1  # its time
    START = 2  # where its record is
    WHAT = 3  # high 32 bits: how long; low ones: its plan, or what is below
    FOUND = 4
    WINDOW = 2048

# What can be wrong.
cdef enum:
    FINE = 0
    BAD_PAGE = 1
    BAD_TIME_STAMP = 2
    BAD_COMMIT = 3
    CUT_EVENT = 4
    BAD_LENGTH = 5
    BAD_TIME = 6
    LONG_EVENT = 7

# Why Merge.take returned.
cdef enum:
    FULL = 0  # as many events as were asked for
    HUNGRY = 1  # a lane has no event: it may need bytes, has ended or is at fault
    GAP = 2  # events were lost before the next one
    LATE = 3  # the next one is later than asked for
    SHORT = 4  # the next one's record is shorter than the fields wanted of it
    TURN = 5  # it is another lane's turn: never the reason

# What is wanted of a tracepoint, PLAN numbers.
cdef enum:
    NUMBER = 0  # what its events have in the column of tracepoints
    NEEDED = 1  # how many bytes of a record are needed
    PID_AT = 2  # where common_pid is in it, or -1
    CURSOR = 3  # where the next record is noted
    PLAN = 4

# By common_type, where there is no plan.
cdef enum:
    UNWANTED = -1
    UNKNOWN = -2
    TOO_SHORT = -3  # there is one, which needs more than the record has
    ENDED = -4  # no event: what was found ends here

# A column that is wanted, COLUMN numbers.
cdef enum:
    OF = 0  # the tracepoint's plan
    OFFSET = 1  # of the field
    SIZE = 2
    KIND = 3  # how it is stored
    ROW = 4  # the next record to look at
    OUT = 5  # where its value goes
    COLUMN = 6

# How a field is stored.
cdef enum:
    UNSIGNED = 0
    SIGNED = 1
    DYNAMIC = 2  # __data_loc, told as place and length
    RELATIVE = 3  # __rel_loc: the same, counted from the end of the field

cdef enum:
    AHEAD = 1024  # bytes that a lane will come to soon
    CHUNK = 512  # events that are found before their fields are gathered, in the cache; 2 ** n
    PADDING = 29
    TIME_EXTEND = 30
