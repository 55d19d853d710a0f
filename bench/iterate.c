/*
 * iterate TRACE.DAT: what libtracecmd takes to go through a recording, all CPUs merged by time,
 * and to read one field of each event that has it. Prints events and seconds, the opening left out.
 *
 * cc -O2 iterate.c $(pkg-config --cflags --libs libtracecmd libtraceevent)
 */
#include <stdio.h>
#include <time.h>
#include <trace-cmd.h>

static struct tep_format_field *pid;
static int id;
static long events;
static unsigned long long sum;

static int take(struct tracecmd_input *handle, struct tep_record *record, int cpu, void *data)
{
	struct tep_handle *tep = data;
	unsigned long long value;

	events++;
	if (tep_data_type(tep, record) == id && !tep_read_number_field(pid, record->data, &value))
		sum += value;
	return 0;
}

int main(int argc, char **argv)
{
	struct tracecmd_input *handle = tracecmd_open(argv[argc - 1], 0);
	struct tep_handle *tep;
	struct tep_event *event;
	struct timespec from, to;

	if (!handle)
		return 1;
	tep = tracecmd_get_tep(handle);
	event = tep_find_event_by_name(tep, "sched", "sched_switch");
	if (!event)
		return 1;
	id = event->id;
	pid = tep_find_field(event, "next_pid");
	clock_gettime(CLOCK_MONOTONIC, &from);
	tracecmd_iterate_events(handle, NULL, 0, take, tep);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%ld %.6f %llu\n", events,
	       to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9, sum);
	return 0;
}
