/* What a C programmer would write for these monitors and nothing else: the same columns in, the
 * conditions hard-coded, one byte of state for each pid, violations counted. */
#include <stdint.h>

enum { NOT_RUNNING, RUNNING, IDLE };

/* wwnr: events 0 switch_in, 1 switch_out, 2 wakeup, 3 switch_out that starts. */
static const int8_t WWNR[3][4] = {
    [NOT_RUNNING] = {RUNNING, -1, NOT_RUNNING, -1},
    [RUNNING] = {-1, NOT_RUNNING, -1, NOT_RUNNING},
    [IDLE] = {IDLE, IDLE, IDLE, NOT_RUNNING},
};

static inline int64_t step(int8_t *states, int64_t pid, int event)
{
    int8_t next = WWNR[states[pid]][event];
    states[pid] = next < 0 ? IDLE : next;
    return next < 0;
}

int64_t wwnr(int64_t count, const int64_t *tp, int64_t sched_switch, int64_t sched_wakeup,
             const int64_t *prev_pid, const int64_t *prev_state, const int64_t *next_pid,
             const int64_t *pid, int8_t *states)
{
    int64_t violations = 0, s = 0, w = 0;
    for (int64_t i = 0; i < count; i++) {
        if (tp[i] == sched_switch) {
            violations += step(states, prev_pid[s], prev_state[s] == 1 ? 3 : 1);
            violations += step(states, next_pid[s], 0);
            if (prev_state[s] & 0x30)
                states[prev_pid[s]] = IDLE;
            s++;
        } else if (tp[i] == sched_wakeup) {
            violations += step(states, pid[w], 2);
            w++;
        }
    }
    return violations;
}

/* Ten monitors over the same events, each with a table and states of its own: that of `turns` turns
 * goes through as many pairs of not_running and running, the last row is idle. */
enum { MONITORS = 10, TURNS = 5 };
static int8_t tables[MONITORS][2 * TURNS + 1][4];

void draw(void)
{
    for (int m = 0; m < MONITORS; m++) {
        int turns = m % TURNS + 1, idle = 2 * turns;
        for (int turn = 0; turn < turns; turn++) {
            int next = 2 * ((turn + 1) % turns);
            int8_t *off = tables[m][2 * turn], *on = tables[m][2 * turn + 1];
            off[0] = 2 * turn + 1, off[1] = -1, off[2] = 2 * turn, off[3] = -1;
            on[0] = -1, on[1] = next, on[2] = -1, on[3] = next;
        }
        for (int event = 0; event < 4; event++)
            tables[m][idle][event] = event == 3 ? 0 : idle;
    }
}

static inline int64_t take(int m, int8_t *states, int64_t pid, int event)
{
    int8_t next = tables[m][states[pid]][event];
    states[pid] = next < 0 ? 2 * (m % TURNS + 1) : next;
    return next < 0;
}

int64_t ten(int64_t count, const int64_t *tp, int64_t sched_switch, int64_t sched_wakeup,
            const int64_t *prev_pid, const int64_t *prev_state, const int64_t *next_pid,
            const int64_t *pid, int8_t *states, int64_t tasks)
{
    int64_t violations = 0, s = 0, w = 0;
    for (int64_t i = 0; i < count; i++) {
        if (tp[i] == sched_switch) {
            for (int m = 0; m < MONITORS; m++) {
                int8_t *mine = states + m * tasks;
                violations += take(m, mine, prev_pid[s], prev_state[s] == 1 ? 3 : 1);
                violations += take(m, mine, next_pid[s], 0);
                if (prev_state[s] & 0x30)
                    mine[prev_pid[s]] = 2 * (m % TURNS + 1);
            }
            s++;
        } else if (tp[i] == sched_wakeup) {
            for (int m = 0; m < MONITORS; m++)
                violations += take(m, states + m * tasks, pid[w], 2);
            w++;
        }
    }
    return violations;
}
