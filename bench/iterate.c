/*
 * iterate TRACE.DAT: what libtracecmd takes to go through a recording, all CPUs merged by time, to
 * read the fields that wwnr needs and to step it, one byte of state for each pid. Prints events,
 * seconds (the opening left out) and violations.
 *
 * cc -O2 iterate.c $(pkg-config --cflags --libs libtracecmd libtraceevent)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <trace-cmd.h>

enum { NOT_RUNNING, RUNNING, IDLE };
enum { SWITCH_IN, SWITCH_OUT, WAKEUP, SWITCH_OUT_THAT_STARTS };
enum { CPUS = 1 << 13, PIDS = 1 << 22 };

static const int8_t WWNR[3][4] = {
	[NOT_RUNNING] = {RUNNING, -1, NOT_RUNNING, -1},
	[RUNNING] = {-1, NOT_RUNNING, -1, NOT_RUNNING},
	[IDLE] = {IDLE, IDLE, IDLE, NOT_RUNNING},
};

static struct tep_format_field *prev_pid, *prev_state, *next_pid, *pid;
static int sched_switch, sched_wakeup;
static long events, violations;
/* The idle tasks, which all have pid 0, by their CPU; then the others by their pid. */
static int8_t states[CPUS + PIDS];

static int8_t *state_of(int cpu, unsigned long long pid)
{
	return &states[pid ? CPUS + pid % PIDS : cpu % CPUS];
}

static void step(int8_t *state, int event)
{
	int8_t next = WWNR[*state][event];

	violations += next < 0;
	*state = next < 0 ? IDLE : next;
}

static unsigned long long number(struct tep_format_field *field, struct tep_record *record)
{
	unsigned long long value = 0;

	tep_read_number_field(field, record->data, &value);
	return value;
}

static int take(struct tracecmd_input *handle, struct tep_record *record, int cpu, void *tep)
{
	int type = tep_data_type(tep, record);

	events++;
	if (type == sched_switch) {
		int8_t *prev = state_of(cpu, number(prev_pid, record));
		unsigned long long state = number(prev_state, record);

		step(prev, state == 1 ? SWITCH_OUT_THAT_STARTS : SWITCH_OUT);
		step(state_of(cpu, number(next_pid, record)), SWITCH_IN);
		if (state & 0x30)
			*prev = IDLE;
	} else if (type == sched_wakeup) {
		step(state_of(cpu, number(pid, record)), WAKEUP);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct tracecmd_input *handle = tracecmd_open(argv[argc - 1], 0);
	struct tep_event *on_switch, *on_wakeup;
	struct tep_handle *tep;
	struct timespec from, to;

	if (!handle)
		return 1;
	tep = tracecmd_get_tep(handle);
	on_switch = tep_find_event_by_name(tep, "sched", "sched_switch");
	on_wakeup = tep_find_event_by_name(tep, "sched", "sched_wakeup");
	if (!on_switch || !on_wakeup)
		return 1;
	sched_switch = on_switch->id;
	sched_wakeup = on_wakeup->id;
	prev_pid = tep_find_field(on_switch, "prev_pid");
	prev_state = tep_find_field(on_switch, "prev_state");
	next_pid = tep_find_field(on_switch, "next_pid");
	pid = tep_find_field(on_wakeup, "pid");
	memset(states, IDLE, sizeof(states));
	clock_gettime(CLOCK_MONOTONIC, &from);
	tracecmd_iterate_events(handle, NULL, 0, take, tep);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%ld %.6f %ld\n", events,
	       to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9, violations);
	return 0;
}
