# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Step the instances of a hybrid automaton: clocks, guards, invariants, timers.

This file is plain Python and its own twin: ``_timed.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``within``, ``address`` and ``expect`` are C's
(``_memory.pxd``), as are the numbers of ``_book.pxd``; the interpreted twin is given its own.

An instance has *registers*: one for each clock, with the time (ns) of its last reset, then
one for each other environment variable, with what was last told of it; ``unset`` before.
Its timer is ``ARMED`` for a time in half nanoseconds: a clock in nanoseconds may
still show its limit, one in jiffies may not, so that a timer is due half a nanosecond
behind the limit or at it. ``never`` is no time at all, ``horizon`` one that nobody waits for.

The order is that of include/rv/ha_monitor.h: (1) the invariant of the old state, (2) the guard
of the transition on the values before its resets, (3) the resets, (4) the timer.
"""

#: How many words ahead the memory of an instance is asked for.
AHEAD = 8
#: What a step takes beside a look into the table (bits).
GUARD, RESET, REARM, DISARM = 1, 2, 4, 8


class Timed:
    """``table[row * width + letter - 1]`` is the next row, or negative for a violation; ``counts``
    has how often each entry was met, if it is ``watched``, ``costs`` gets what else there is to do
    there. ``idle`` is the row of an instance that is not monitoring,
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
        unset, never, horizon, heaviest, words, values, counts, costs, violations, watched,
    ):  # fmt: skip
        self.table, self.width, self.idle = table, width, idle
        self.kinds, self.rearms = kinds, rearms
        self.load_firsts, self.load_registers = load_firsts, load_registers
        self.clocks, self.span, self.page = clocks, span, FIRST + span
        self.unset, self.never, self.horizon = unset, never, horizon
        self.heaviest, self.words, self.values = heaviest, words, values
        self.counts, self.costs, self.violations = counts, costs, violations
        self.stride = 5 + span
        self.most = len(violations) // self.stride
        self.watched, self.begun = watched, False
        self.next = self.armed_count = 0
        self.soonest = never

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
        for cell in range(len(guards)):
            self.costs[cell] = self.cost(cell, cell // self.width, self.table[cell])

    def cost(self, cell, row, following):
        """What a step takes, beside a look into the table."""
        cost = (GUARD if self.guards[cell] != -1 else 0) | (RESET if self.resets[cell] else 0)
        moves = following != row or self.rearms[cell % self.width]
        if not moves or not 0 <= following < self.idle:
            return cost
        if self.bound_firsts[following] < self.bound_firsts[following + 1]:
            return cost | REARM
        return cost | (DISARM if self.bound_firsts[row] < self.bound_firsts[row + 1] else 0)

    def hold(self, book, heap):
        """The instances, a page for each (``_book.pxd``), and their timers: those that may be
        running, as a heap by the time at which to look at them."""
        self.book, self.heap = book, heap

    def begin(self, begin, first):
        """Go to the words from ``first`` on, of the piece whose first event is ``begin``."""
        self.origin, self.next, self.begun = begin, first, True

    def run(self, last, times, before, after):
        """Go on with the words up to ``last - 1``; the number of violations found.

        It ends early, with ``next`` short of ``last``, when ``violations`` is full. ``before`` and
        ``after``, unless None, receive the row on either side of every word; ``after`` is -1
        where it was refused.
        """
        words, table, book = self.words, self.table, self.book
        counts, kinds, costs = self.counts, self.kinds, self.costs
        load_firsts, heavy = self.load_firsts, self.heaviest > 0
        origin, width, page, idle = self.origin, self.width, self.page, self.idle
        never = self.never
        observed, told = before is not None, self.told
        watched = self.watched or observed
        place = address(book)
        found = 0
        i = self.next
        while i < last:
            letter = (words[i] & 0xFFFF) - 1
            expect(place, (words[i + AHEAD] >> 32) * page + DUE)
            if letter < 0:
                i += 1
                continue
            time = times[origin + (words[i] >> 16 & 0xFFFF)]
            if self.soonest <= 2 * time:
                self.next = i
                found = self.expire(time, found)
            if found == self.most:
                break
            soon = never if told else 2 * time + 1
            instance = words[i] >> 32
            base = instance * page
            if heavy:
                held = i * self.heaviest
                for load in range(load_firsts[letter], load_firsts[letter + 1]):
                    book[base + FIRST + self.load_registers[load]] = self.values[held]
                    held += 1
            kind = kinds[letter]
            row = book[base + ROW]
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
                book[base + ROW] = following
                book[base + SINCE] = time
            else:
                if row == idle:  # start_run: it begins in row 0
                    row = 0
                    book[base + ROW] = 0
                    book[base + SINCE] = time
                    cell = letter
                cost = costs[cell]
                if following < 0:
                    found = self.refuse(found, i, row, time, instance, 0)
                elif not (  # 1, 2
                    (book[base + ARMED] > soon or self.keeps(row, base, time))
                    and (not cost & GUARD or self.holds(self.guards[cell], base, time))
                ):
                    if watched:
                        counts[met] -= 1
                        if observed:
                            after[i] = -1
                    found = self.refuse(found, i, row, time, instance, 1)
                else:
                    if following != row:
                        book[base + ROW] = following
                        book[base + SINCE] = time
                    if cost & RESET:  # 3
                        for load in range(self.clocks):
                            if self.resets[cell] >> load & 1:
                                book[base + FIRST + load] = time
                    if cost & DISARM:  # 4
                        book[base + ARMED] = self.never
                    elif cost & REARM:
                        self.rearm(following, instance, time)
            i += 1
        self.next = i
        return found

    def expire(self, time, found=0):
        """Let the timers run out that are due when it is ``time``; the number of violations.

        When that is as many as ``violations`` has room for, there may be more.
        """
        book = self.book
        while self.armed_count and found < self.most:
            instance = self.heap[0]
            base = instance * self.page
            due, armed = book[base + DUE], book[base + ARMED]
            if due > 2 * time:
                break
            if armed > due:  # it was put off, or disarmed
                if armed == self.never:
                    self.drop_first()
                else:
                    book[base + DUE] = armed
                    self.sift_down(0)
            else:
                row = book[base + ROW]
                found = self.refuse(found, self.next, row, due >> 1, instance, 2 + (due & 1))
        self.soonest = self.due(0) if self.armed_count else self.never
        return found

    def refuse(self, found, i, row, time, instance, why):
        """Write a violation down, and stop to monitor."""
        place = found * self.stride
        base = instance * self.page
        self.violations[place] = i
        self.violations[place + 1] = row
        self.violations[place + 2] = time
        self.violations[place + 3] = instance
        self.violations[place + 4] = why
        for r in range(self.span):
            self.violations[place + 5 + r] = self.book[base + FIRST + r]
        self.stop(instance, False)
        self.book[base + SINCE] = time
        return found + 1

    def stop(self, instance, forget):
        """It is not monitoring: no clock was reset, no timer runs, and all told is forgotten
        (``forget``) or kept."""
        base = instance * self.page
        self.book[base + ROW], self.book[base + ARMED] = self.idle, self.never
        for r in range(self.span if forget else self.clocks):
            self.book[base + FIRST + r] = self.unset

    def holds(self, target, base, time):
        """Whether the program that begins at ``target`` says so of these registers."""
        while target >= 0:
            node = 7 * target
            value = self.nodes[node + 2] * time
            for term in range(self.nodes[node], self.nodes[node + 1]):
                value += self.terms[2 * term + 1] * self.book[base + FIRST + self.terms[2 * term]]
            target = self.nodes[
                node + 6 - within(value, self.nodes[node + 3], self.nodes[node + 4])
            ]
        return target == -1

    def keeps(self, row, base, time):
        """Whether the invariant of a row holds; a clock that was never reset breaks none."""
        book, bounds = self.book, self.bounds
        for bound in range(self.bound_firsts[row], self.bound_firsts[row + 1]):
            began = book[base + FIRST + bounds[5 * bound]]
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
            value = self.book[base + FIRST + self.terms[2 * term]]
            if value == self.unset:
                return self.horizon
            value = min(max(value, -self.horizon), self.horizon)
            limit += self.terms[2 * term + 1] * value
        return min(max(limit, -self.horizon), self.horizon)

    def rearm(self, row, instance, time):
        """Let its timer run out when the first bound of its row does."""
        earliest = self.never
        base = instance * self.page
        for bound in range(self.bound_firsts[row], self.bound_firsts[row + 1]):
            limit = max(self.bounds[5 * bound + 1], -self.horizon)
            if self.bounds[5 * bound + 3] < self.bounds[5 * bound + 4]:
                limit = self.limit(bound, base)
            if limit < self.horizon:
                began = self.book[base + FIRST + self.bounds[5 * bound]]
                if began == self.unset:
                    began = time
                earliest = min(earliest, 2 * (began + limit) + self.bounds[5 * bound + 2])
        if earliest == self.never:
            self.book[base + ARMED] = self.never
        else:
            self.arm(instance, max(earliest, 2 * time + 1))  # not before it came here

    def arm(self, instance, key):
        """Let its timer run out at ``key``. A timer that is put off stays where it is, until
        it is due where it was: so most arming moves nothing."""
        base = instance * self.page
        self.book[base + ARMED] = key
        place = self.book[base + WHERE]
        if place < 0:
            place = self.armed_count
            self.armed_count += 1
        elif key >= self.book[base + DUE]:
            return
        self.book[base + DUE] = key
        self.heap[place] = instance
        self.sift_up(place)
        self.soonest = self.due(0)

    def due(self, place):
        """When to look at the timer at this place of the heap."""
        return self.book[self.heap[place] * self.page + DUE]

    def put(self, place, instance):
        """Have an instance at this place of the heap."""
        self.heap[place] = instance
        self.book[instance * self.page + WHERE] = place

    def drop_first(self):
        """Take the first out of the heap."""
        self.book[self.heap[0] * self.page + WHERE] = -1
        self.armed_count -= 1
        last = self.armed_count
        if last > 0:
            self.heap[0] = self.heap[last]
            self.sift_down(0)

    def sift_up(self, place):
        instance, due = self.heap[place], self.due(place)
        while place > 0:
            parent = (place - 1) >> 1
            if self.due(parent) <= due:
                break
            self.put(place, self.heap[parent])
            place = parent
        self.put(place, instance)

    def sift_down(self, place):
        instance, due = self.heap[place], self.due(place)
        while True:
            child = 2 * place + 1
            if child >= self.armed_count:
                break
            if child + 1 < self.armed_count and self.due(child + 1) < self.due(child):
                child += 1
            if self.due(child) >= due:
                break
            self.put(place, self.heap[child])
            place = child
        self.put(place, instance)
