# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Step the instances of a hybrid automaton: clocks, guards, invariants, timers.

This file is plain Python and its own twin: ``_timed.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``within``, ``address`` and ``expect`` are C's
(``_memory.pxd``); the interpreted twin is given its own.

An instance has *registers*: one for each clock, with the time (ns) of its last reset, then
one for each other environment variable, with what was last told of it; ``unset`` before.
Its timer is armed for ``armed[instance]``, in half nanoseconds: a clock in nanoseconds may
still show its limit, one in jiffies may not, so that a timer is due half a nanosecond
behind the limit or at it. ``never`` is no time at all, ``horizon`` one that nobody waits for.

The order is that of include/rv/ha_monitor.h: (1) the invariant of the old state, (2) the guard
of the transition on the values before its resets, (3) the resets, (4) the timer.
"""

#: How many words ahead the memory of an instance is asked for.
AHEAD = 8


class Timed:
    """``table[row * width + letter - 1]`` is the next row, or negative for a violation; ``counts``
    has how often each entry was met. ``idle`` is the row of an instance that is not monitoring,
    which is where a violation leaves it. ``words`` are as :class:`Selector` writes them; below,
    letters are counted from 0 without *nothing*.

    ``kinds[letter]``: 0 an event, 1 one that starts but is not taken, 2 a reset.
    ``rearms[letter]``: some transition of this event resets a clock and stays. The values that
    letter ``l`` takes along go to ``load_registers[load_firsts[l]:load_firsts[l + 1]]``.

    ``guards[row * width + letter]`` is where a program begins: node ``n`` is seven numbers,
    ``first, last, now, lowest, span, yes, no``, and asks whether ``now`` times the time plus the
    terms ``first .. last - 1`` is one of ``lowest .. lowest + span``. A term is two numbers,
    register and factor. A target is the next node, -1 (it holds) or -2 (it does not).
    ``resets[row * width + letter]`` has a bit for each clock. The bounds of a row's invariant
    are ``bound_firsts[row] .. bound_firsts[row + 1] - 1``; each is five numbers, ``clock, limit,
    half, first, last``.

    ``violations`` receives ``stride`` numbers each: index of the word (of a timer: of the next
    one), row, time, instance, why (0 no transition, 1 the environment, 2 the timer, 3 the
    timer and half a nanosecond), the registers.
    """

    def __init__(
        self, table, width, idle, kinds, rearms, load_firsts, load_registers, clocks, span,
        unset, never, horizon, heaviest, words, values, counts, violations, watched,
    ):  # fmt: skip
        self.table, self.width, self.idle = table, width, idle
        self.kinds, self.rearms = kinds, rearms
        self.load_firsts, self.load_registers = load_firsts, load_registers
        self.clocks, self.span = clocks, span
        self.unset, self.never, self.horizon = unset, never, horizon
        self.heaviest, self.words, self.values = heaviest, words, values
        self.counts, self.violations = counts, violations
        self.stride = 5 + span
        self.most = len(violations) // self.stride
        self.watched, self.begun = watched, False
        self.next = self.armed_count = 0

    def ask(self, guards, resets, nodes, terms, bound_firsts, bounds):
        """The conditions, anew whenever a parameter changes.

        Unless one did, or bounds add something ``told``, an instance's timer says that they hold.
        """
        self.told = self.begun
        for bound in range(len(bounds) // 5):
            self.told |= bounds[5 * bound + 3] < bounds[5 * bound + 4]
        self.guards, self.resets = guards, resets
        self.nodes, self.terms = nodes, terms
        self.bound_firsts, self.bounds = bound_firsts, bounds

    def hold(self, states, since, registers, armed, due, where, heap):
        """The instances: row, since when, registers, and the timers, which are a heap.

        ``heap`` has the instances whose timer may be running by the time ``due`` at which
        to look at them, ``where`` the place of each in it, or -1.
        """
        self.states, self.since, self.registers = states, since, registers
        self.armed, self.due, self.where, self.heap = armed, due, where, heap

    def begin(self, begin, first):
        """Go to the words from ``first`` on, of the piece whose first event is ``begin``."""
        self.origin, self.next, self.begun = begin, first, True

    def run(self, last, times, before, after):
        """Go on with the words up to ``last - 1``; the number of violations found.

        It ends early, with ``next`` short of ``last``, when ``violations`` is full. ``before`` and
        ``after``, unless None, receive the row on either side of every word; ``after`` is -1
        where it was refused.
        """
        words, states, since, table = self.words, self.states, self.since, self.table
        counts, kinds, rearms, armed = self.counts, self.kinds, self.rearms, self.armed
        load_firsts, bound_firsts = self.load_firsts, self.bound_firsts
        guards, resets, registers = self.guards, self.resets, self.registers
        origin, width, span, idle = self.origin, self.width, self.span, self.idle
        observed, watched, told = before is not None, self.watched, self.told
        timers, kept = address(armed), address(registers)
        found = 0
        i = self.next
        while i < last:
            letter = (words[i] & 0xFFFF) - 1
            expect(timers, words[i + AHEAD] >> 32)
            expect(kept, (words[i + AHEAD] >> 32) * span)
            if letter < 0:
                i += 1
                continue
            time = times[origin + (words[i] >> 16 & 0xFFFF)]
            if self.armed_count and self.due[self.heap[0]] <= 2 * time:
                self.next = i
                found = self.expire(time, found)
            if found == self.most:
                break
            instance = words[i] >> 32
            base = instance * span
            held = i * self.heaviest
            for load in range(load_firsts[letter], load_firsts[letter + 1]):
                registers[base + self.load_registers[load]] = self.values[held]
                held += 1
            kind = kinds[letter]
            row = states[instance]
            met = cell = row * width + letter
            following = table[cell]
            if watched:
                counts[met] += 1
            if observed:
                before[i] = row
                after[i] = following
            if kind == 2:
                self.stop(instance, True)
            elif row == idle and (kind == 1 or following == idle):
                states[instance] = following
                since[instance] = time
            else:
                if row == idle:  # start_run: it begins in row 0
                    row = 0
                    states[instance] = 0
                    since[instance] = time
                    cell = letter
                if following < 0:
                    found = self.refuse(found, i, row, time, instance, 0)
                elif not (  # 1, 2
                    (
                        (armed[instance] > 2 * time + 1 and not told)
                        or bound_firsts[row] == bound_firsts[row + 1]
                        or self.keeps(row, base, time)
                    )
                    and (guards[cell] == -1 or self.holds(guards[cell], base, time))
                ):
                    if watched:
                        counts[met] -= 1
                    if observed:
                        after[i] = -1
                    found = self.refuse(found, i, row, time, instance, 1)
                else:
                    if resets[cell]:  # 3
                        for load in range(self.clocks):
                            if resets[cell] >> load & 1:
                                registers[base + load] = time
                    if following != row:
                        states[instance] = following
                        since[instance] = time
                    if following != row or rearms[letter]:  # 4
                        if bound_firsts[following] < bound_firsts[following + 1]:
                            self.rearm(following, instance, time)
                        elif bound_firsts[row] < bound_firsts[row + 1]:
                            armed[instance] = self.never
            i += 1
        self.next = i
        return found

    def expire(self, time, found=0):
        """Let the timers run out that are due when it is ``time``; the number of violations.

        When that is as many as ``violations`` has room for, there may be more.
        """
        while self.armed_count and found < self.most:
            instance = self.heap[0]
            if self.due[instance] > 2 * time:
                break
            if self.armed[instance] > self.due[instance]:  # it was put off, or disarmed
                if self.armed[instance] == self.never:
                    self.drop_first()
                else:
                    self.due[instance] = self.armed[instance]
                    self.sift_down(0)
            else:
                found = self.refuse(
                    found,
                    self.next,
                    self.states[instance],
                    self.due[instance] >> 1,
                    instance,
                    2 + (self.due[instance] & 1),
                )
        return found

    def refuse(self, found, i, row, time, instance, why):
        """Write a violation down, and stop to monitor."""
        place = found * self.stride
        base = instance * self.span
        self.violations[place] = i
        self.violations[place + 1] = row
        self.violations[place + 2] = time
        self.violations[place + 3] = instance
        self.violations[place + 4] = why
        for r in range(self.span):
            self.violations[place + 5 + r] = self.registers[base + r]
        self.stop(instance, False)
        self.since[instance] = time
        return found + 1

    def stop(self, instance, forget):
        """It is not monitoring: no clock was reset, no timer runs, and all told is forgotten
        (``forget``) or kept."""
        self.states[instance] = self.idle
        self.armed[instance] = self.never
        base = instance * self.span
        for r in range(self.span if forget else self.clocks):
            self.registers[base + r] = self.unset

    def holds(self, target, base, time):
        """Whether the program that begins at ``target`` says so of these registers."""
        while target >= 0:
            node = 7 * target
            value = self.nodes[node + 2] * time
            for term in range(self.nodes[node], self.nodes[node + 1]):
                value += self.terms[2 * term + 1] * self.registers[base + self.terms[2 * term]]
            target = self.nodes[
                node + 6 - within(value, self.nodes[node + 3], self.nodes[node + 4])
            ]
        return target == -1

    def keeps(self, row, base, time):
        """Whether the invariant of a row holds; a clock that was never reset breaks none."""
        registers, bounds = self.registers, self.bounds
        for bound in range(self.bound_firsts[row], self.bound_firsts[row + 1]):
            began = registers[base + bounds[5 * bound]]
            if began != self.unset:
                limit = bounds[5 * bound + 1]
                if bounds[5 * bound + 3] < bounds[5 * bound + 4]:
                    limit = self.limit(bound, base)
                due = 2 * (began + limit) + bounds[5 * bound + 2]
                if limit < self.horizon and due <= 2 * time:
                    return False
        return True

    def limit(self, bound, base):
        """What a clock may come to, which something told adds to; the horizon when nobody told."""
        limit = self.bounds[5 * bound + 1]
        for term in range(self.bounds[5 * bound + 3], self.bounds[5 * bound + 4]):
            value = self.registers[base + self.terms[2 * term]]
            if value == self.unset:
                return self.horizon
            value = min(max(value, -self.horizon), self.horizon)
            limit += self.terms[2 * term + 1] * value
        return min(max(limit, -self.horizon), self.horizon)

    def rearm(self, row, instance, time):
        """Let its timer run out when the first bound of its row does."""
        earliest = self.never
        base = instance * self.span
        for bound in range(self.bound_firsts[row], self.bound_firsts[row + 1]):
            limit = self.limit(bound, base)
            if limit < self.horizon:
                began = self.registers[base + self.bounds[5 * bound]]
                if began == self.unset:
                    began = time
                earliest = min(earliest, 2 * (began + limit) + self.bounds[5 * bound + 2])
        if earliest == self.never:
            self.armed[instance] = self.never
        else:
            self.arm(instance, max(earliest, 2 * time + 1))  # not before it came here

    def arm(self, instance, key):
        """Let its timer run out at ``key``. A timer that is put off stays where it is, until
        it is due where it was: so most arming moves nothing."""
        self.armed[instance] = key
        place = self.where[instance]
        if place < 0:
            place = self.armed_count
            self.armed_count += 1
        elif key >= self.due[instance]:
            return
        self.due[instance] = key
        self.heap[place] = instance
        self.sift_up(place)

    def drop_first(self):
        """Take the first out of the heap."""
        self.where[self.heap[0]] = -1
        self.armed_count -= 1
        last = self.armed_count
        if last > 0:
            self.heap[0] = self.heap[last]
            self.sift_down(0)

    def sift_up(self, place):
        instance = self.heap[place]
        while place > 0:
            parent = (place - 1) >> 1
            above = self.heap[parent]
            if self.due[above] <= self.due[instance]:
                break
            self.heap[place] = above
            self.where[above] = place
            place = parent
        self.heap[place] = instance
        self.where[instance] = place

    def sift_down(self, place):
        instance = self.heap[place]
        while True:
            child = 2 * place + 1
            if child >= self.armed_count:
                break
            if (
                child + 1 < self.armed_count
                and self.due[self.heap[child + 1]] < self.due[self.heap[child]]
            ):
                child += 1
            below = self.heap[child]
            if self.due[below] >= self.due[instance]:
                break
            self.heap[place] = below
            self.where[below] = place
            place = child
        self.heap[place] = instance
        self.where[instance] = place
