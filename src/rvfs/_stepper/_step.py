# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Step every instance of one monitor through a whole batch.

This file is plain Python and its own twin: ``_step.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. Nothing checks an index here: the engine makes room
for every instance before it steps.
"""


def step(table, width, idle, letters, slots, states, violations, before, after):  # type: ignore[no-untyped-def]
    """Take ``letters`` in order; the number of violations found.

    ``table[row * width + letter]`` is the next row, or negative for a violation; ``idle`` is
    the row of an instance that is not monitoring, which is where a violation leaves it.
    ``letters[i]`` meets the instance ``slots[i]`` in row ``states[slots[i]]``; a negative
    letter is no event at all. ``violations`` (room for every letter) receives pairs flattened:
    index of the letter, row it was refused in. ``before`` and ``after``, unless None, receive
    the row on either side of every letter.

    dtypes: table, letters, states, before, after int16; slots and violations int64.
    """
    found = 0
    observed = before is not None
    for i in range(len(letters)):
        letter = letters[i]
        if letter < 0:
            continue
        slot = slots[i]
        row = states[slot]
        following = table[row * width + letter]
        if observed:
            before[i] = row
            after[i] = following
        if following < 0:
            violations[2 * found] = i
            violations[2 * found + 1] = row
            found += 1
            following = idle
        states[slot] = following
    return found
