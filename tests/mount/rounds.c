/*
 * Writes through one path and reads through another, as often as it is told:
 *
 *	rounds MOUNTPOINT ROUNDS
 *
 * Four things of the tree have a state, a few bits: which of five monitors are on, which of two
 * breakpoints there are, which reactor one monitor has, and monitoring_on. One process changes
 * them, each through several paths, and looks through another after each change. Others look all
 * the time. Every state that ever was has a number; of each thing it is known which number was
 * begun last, and which one was acknowledged last. Then, whatever the timing,
 *
 *	what is seen must be a state that is no older than what was acknowledged before the look,
 *	or than what the same process has seen before, and no newer than what was begun after it;
 *
 * what is no state at all (a line cut short, a NUL, the length of another moment) is torn.
 *
 * Prints how often each way to look was gone, or, with status 1, what was wrong.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOKERS 2
#define PAUSE 200 /* microseconds at most, or nobody would get on */
#define MONITORS 5
#define BREAKPOINTS 2
#define REACTORS 3
#define BYTES 4096

enum thing { ON, HELD, REACTOR, FLAG, THINGS };

/* The bits of a state that were seen, and how they were; TORN fits no state. */
struct sight {
	unsigned bits, seen;
};
#define TORN ((struct sight){ 0, 1 })
#define ALL(state) ((struct sight){ ~0u, state })

static struct shared {
	unsigned long begun[THINGS], acknowledged[THINGS]; /* numbers of states */
	unsigned long looks[32];
	bool over, wrong;
} *shared;
static unsigned char *states[THINGS]; /* by number, shared too */
static unsigned long seen[THINGS]; /* the oldest that this process may see again */

/* Each name has one byte less than a power of two: so a size tells which of them are listed. */
static const char *monitors[MONITORS] = {
	"a", "car", "tractor", "washing-machine", "steam-locomotive-of-the-railway",
};
static const char *breakpoints[BREAKPOINTS] = { "x", "why" };
static const char *reactors[REACTORS] = { "nop", "panic", "printk" };
static int enable[MONITORS], enabled, reactor, reactor_of_container, flag; /* descriptors */
static char buffer[BYTES], text[BYTES];
static ssize_t length; /* of what is in the buffer */
static unsigned long random_;

static unsigned dice(unsigned sides)
{
	random_ = random_ * 6364136223846793005 + 1442695040888963407;
	return (random_ >> 33) % sides;
}

static long must(const char *what, long result)
{
	if (result < 0) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
	return result;
}

static int opened(const char *name, int flags)
{
	return must(name, open(name, flags));
}

static struct stat status(const char *name)
{
	struct stat st;

	must(name, stat(name, &st));
	return st;
}

/* -- looks -------------------------------------------------------------------------------- */

static void read_all(const char *name)
{
	int fd = opened(name, O_RDONLY);

	length = must(name, read(fd, buffer, BYTES));
	close(fd);
}

static void read_held(int fd)
{
	length = must("pread", pread(fd, buffer, BYTES, 0));
}

/* Whether the place in the buffer has this line; the place is behind it then. */
static bool line(char **place, const char *format, const char *name)
{
	size_t n = snprintf(text, BYTES, format, name);

	if (n > (size_t)(buffer + length - *place) || memcmp(*place, text, n))
		return false;
	*place += n;
	return true;
}

static struct sight on_in_buffer(void)
{
	char *place = buffer;
	unsigned state = 0;

	for (int i = 0; i < MONITORS; i++)
		state |= line(&place, "%s\n", monitors[i]) << i;
	return place == buffer + length ? ALL(state) : TORN;
}

static struct sight read_enabled(void)
{
	read_all("enabled_monitors");
	return on_in_buffer();
}

static struct sight pread_enabled(void)
{
	read_held(enabled);
	return on_in_buffer();
}

static struct sight pread_in_parts(void) /* all of one moment */
{
	ssize_t part = must("pread", pread(enabled, buffer, 1 + dice(40), 0));

	length = part + must("pread", pread(enabled, buffer + part, BYTES - part, part));
	return on_in_buffer();
}

static struct sight size_to_on(off_t size)
{
	return size % 2 || size >= 2 << MONITORS ? TORN : ALL(size / 2);
}

static struct sight stat_enabled(void)
{
	return size_to_on(status("enabled_monitors").st_size);
}

static struct sight fstat_enabled(void)
{
	struct stat st;

	must("fstat", fstat(enabled, &st));
	return size_to_on(st.st_size);
}

static struct sight bool_in_buffer(unsigned bit)
{
	if (length != 2 || buffer[1] != '\n' || (buffer[0] != '0' && buffer[0] != '1'))
		return TORN;
	return (struct sight){ 1u << bit, (buffer[0] - '0') << bit };
}

static struct sight pread_enable(void)
{
	unsigned bit = dice(MONITORS);

	read_held(enable[bit]);
	return bool_in_buffer(bit);
}

static struct sight read_enable(void)
{
	unsigned bit = dice(MONITORS);
	char name[64];

	snprintf(name, sizeof(name), "monitors/%s/enable", monitors[bit]);
	read_all(name);
	return bool_in_buffer(bit);
}

static struct sight read_flag(void)
{
	read_all("monitoring_on");
	return bool_in_buffer(0);
}

static struct sight pread_flag(void)
{
	read_held(flag);
	return bool_in_buffer(0);
}

static struct sight stat_flag(void) /* of one size, whatever O_TRUNC makes of it */
{
	return status("monitoring_on").st_size == 2 ? (struct sight){ 0, 0 } : TORN;
}

static struct sight reactor_in_buffer(void)
{
	char *place = buffer;
	unsigned state = 0;

	for (int i = 0; i < REACTORS; i++)
		if (line(&place, "[%s]\n", reactors[i]))
			state |= 1 << i;
		else if (!line(&place, "%s\n", reactors[i]))
			return TORN;
	return place == buffer + length ? ALL(state) : TORN;
}

static struct sight read_reactor(void)
{
	read_all("monitors/sched/sco/reactors");
	return reactor_in_buffer();
}

static struct sight pread_reactor(void)
{
	read_held(reactor);
	return reactor_in_buffer();
}

static struct sight read_breakpoints(void) /* a line each, in any order */
{
	char *place = buffer, *end;
	unsigned state = 0;

	for (read_all("hwbp/breakpoints"); place < buffer + length; place = end + 1) {
		for (int i = 0; i < BREAKPOINTS; i++)
			state |= line(&place, "%s - cpu:", breakpoints[i]) << i;
		end = memchr(place, '\n', buffer + length - place);
		if (!end)
			return TORN;
	}
	return ALL(state);
}

static struct sight list_breakpoints(void)
{
	DIR *dir = opendir("hwbp/bp");
	unsigned state = 0;

	must("opendir", dir ? 0 : -1);
	for (struct dirent *d; (d = readdir(dir));)
		for (int i = 0; i < BREAKPOINTS; i++)
			state |= !strcmp(d->d_name, breakpoints[i]) << i;
	closedir(dir);
	return ALL(state);
}

static struct sight look_up(void)
{
	unsigned bit = dice(BREAKPOINTS);
	char name[64];

	snprintf(name, sizeof(name), "hwbp/bp/%s/enable", breakpoints[bit]);
	return (struct sight){ 1u << bit, !access(name, F_OK) << bit };
}

static const struct way {
	const char *name;
	enum thing thing;
	struct sight (*look)(void);
} ways[] = {
	{ "open, read, close enabled_monitors", ON, read_enabled },
	{ "pread enabled_monitors", ON, pread_enabled },
	{ "pread enabled_monitors in parts", ON, pread_in_parts },
	{ "stat enabled_monitors", ON, stat_enabled },
	{ "fstat enabled_monitors", ON, fstat_enabled },
	{ "pread monitors/NAME/enable", ON, pread_enable },
	{ "open, read, close monitors/NAME/enable", ON, read_enable },
	{ "open, read, close monitoring_on", FLAG, read_flag },
	{ "pread monitoring_on", FLAG, pread_flag },
	{ "stat monitoring_on", FLAG, stat_flag },
	{ "open, read, close monitors/sched/sco/reactors", REACTOR, read_reactor },
	{ "pread monitors/sched/sco/reactors", REACTOR, pread_reactor },
	{ "open, read, close hwbp/breakpoints", HELD, read_breakpoints },
	{ "ls hwbp/bp", HELD, list_breakpoints },
	{ "access hwbp/bp/NAME/enable", HELD, look_up },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static bool fits(enum thing thing, unsigned long number, struct sight sight)
{
	return (states[thing][number] & sight.bits) == sight.seen;
}

static void complain(const struct way *way, struct sight sight, unsigned long first,
		     unsigned long last)
{
	enum thing thing = way->thing;
	unsigned long older = first;

	while (older && !fits(thing, older, sight))
		older--;
	printf("%s: %s: state %x of bits %x; states %lu to %lu may be seen, %x to %x\n", way->name,
	       fits(thing, older, sight) ? "stale" : "torn", sight.seen, sight.bits, first, last,
	       states[thing][first], states[thing][last]);
	shared->wrong = true;
	exit(1);
}

static void look(const struct way *way)
{
	enum thing thing = way->thing;
	unsigned long first = __atomic_load_n(&shared->acknowledged[thing], __ATOMIC_SEQ_CST);
	/* The kernel finds a name until an rmdir has returned, whatever else was seen already. */
	bool any_path = way->look != look_up;
	unsigned long number = any_path && seen[thing] > first ? seen[thing] : first;
	struct sight sight = way->look();
	unsigned long last = __atomic_load_n(&shared->begun[thing], __ATOMIC_SEQ_CST);

	first = number;
	while (!fits(thing, number, sight))
		if (++number > last)
			complain(way, sight, first, last);
	if (number > seen[thing])
		seen[thing] = number;
	__atomic_fetch_add(&shared->looks[way - ways], 1, __ATOMIC_SEQ_CST);
}

/* -- changes ------------------------------------------------------------------------------ */

static unsigned state_of(enum thing thing)
{
	return states[thing][shared->begun[thing]];
}

static void begin(enum thing thing, unsigned state)
{
	states[thing][shared->begun[thing] + 1] = state;
	__atomic_fetch_add(&shared->begun[thing], 1, __ATOMIC_SEQ_CST);
}

static void acknowledge(enum thing thing)
{
	__atomic_store_n(&shared->acknowledged[thing], shared->begun[thing], __ATOMIC_SEQ_CST);
}

static void put(int fd, const char *words)
{
	must(words, write(fd, words, strlen(words)));
}

static void echo(const char *name, int flags, const char *words)
{
	int fd = opened(name, O_WRONLY | flags);

	put(fd, words);
	must(name, close(fd));
}

static void change_on(void)
{
	unsigned i = dice(MONITORS), was = state_of(ON) & 1 << i;
	char word[64];

	if (dice(2)) {
		begin(ON, state_of(ON) ^ 1 << i);
		put(enable[i], was ? "0" : "1");
	} else if (dice(4)) {
		begin(ON, state_of(ON) ^ 1 << i);
		snprintf(word, sizeof(word), was ? "!%s\n" : "%s\n", monitors[i]);
		echo("enabled_monitors", dice(2) ? O_APPEND : 0, word);
	} else { /* the open is a command of its own, and the write another */
		begin(ON, 0);
		begin(ON, 1 << i);
		echo("enabled_monitors", O_TRUNC, monitors[i]);
	}
}

static void change_held(void)
{
	unsigned i = dice(BREAKPOINTS), was = state_of(HELD) & 1 << i;
	char name[64], line[64];

	snprintf(name, sizeof(name), "hwbp/bp/%s", breakpoints[i]);
	snprintf(line, sizeof(line), was ? "close %s" : "open %s - %d X 8 u+0", breakpoints[i], i);
	begin(HELD, state_of(HELD) ^ 1 << i);
	if (was && dice(2))
		must(name, rmdir(name));
	else
		echo("hwbp/reserve", 0, line);
}

static void change_reactor(void)
{
	unsigned i = dice(REACTORS);

	begin(REACTOR, 1 << i);
	put(dice(2) ? reactor : reactor_of_container, reactors[i]);
}

static void change_flag(void)
{
	static const int flags[] = { 0, O_APPEND, O_TRUNC };

	begin(FLAG, dice(2));
	echo("monitoring_on", flags[dice(3)], state_of(FLAG) ? "1\n" : "0\n");
}

static void (*const changes[THINGS])(void) = { change_on, change_held, change_reactor, change_flag };

static enum thing any(void) /* what is slow to change more seldom */
{
	unsigned number = dice(1024);

	return number < 2 ? HELD : number < 100 ? FLAG : number < 400 ? ON : REACTOR;
}

static const struct way *any_way(enum thing thing)
{
	const struct way *way;

	do
		way = &ways[dice(WAYS)];
	while (way->thing != thing);
	return way;
}

/* -- all of it ---------------------------------------------------------------------------- */

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must("mmap", memory == MAP_FAILED ? -1 : 0);
	return memory;
}

static void set_up(unsigned long rounds)
{
	char name[64];

	shared = share(sizeof(*shared));
	for (int thing = 0; thing < THINGS; thing++)
		states[thing] = share(2 * rounds + 2);
	states[REACTOR][0] = states[FLAG][0] = 1;
	for (int i = 0; i < MONITORS; i++) {
		snprintf(name, sizeof(name), "monitors/%s", monitors[i]);
		must(name, mkdir(name, 0755));
	}
}

/* Everybody has descriptors of his own. Those of what is of another size after a change are for
 * reading, or the kernel would not keep the size. */
static void open_all(void)
{
	char name[64];

	for (int i = 0; i < MONITORS; i++) {
		snprintf(name, sizeof(name), "monitors/%s/enable", monitors[i]);
		enable[i] = opened(name, O_RDWR);
	}
	enabled = opened("enabled_monitors", O_RDONLY);
	flag = opened("monitoring_on", O_RDONLY);
	reactor = opened("monitors/sched/sco/reactors", O_RDWR);
	reactor_of_container = opened("monitors/sched/reactors", O_RDWR);
}

static void look_until_over(int number)
{
	cpu_set_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(&all, -1, sizeof(all));
	must("sched_setaffinity", sched_setaffinity(0, sizeof(all), &all));
	random_ = number;
	open_all();
	while (!__atomic_load_n(&shared->over, __ATOMIC_SEQ_CST)) {
		look(&ways[dice(WAYS)]);
		usleep(dice(PAUSE));
	}
	exit(0);
}

int main(int argc, char *argv[])
{
	unsigned long rounds = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	int result = 0, one;

	if (!rounds || chdir(argv[1])) {
		fprintf(stderr, "usage: rounds MOUNTPOINT ROUNDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up(rounds);
	for (int i = 1; i <= LOOKERS; i++)
		if (!must("fork", fork()))
			look_until_over(i);
	open_all();
	for (unsigned long i = 0; i < rounds && !shared->wrong; i++) {
		enum thing thing = any();

		changes[thing]();
		acknowledge(thing);
		look(any_way(thing));
	}
	__atomic_store_n(&shared->over, true, __ATOMIC_SEQ_CST);
	while (wait(&one) > 0)
		result |= one;
	for (size_t i = 0; i < WAYS; i++)
		printf("%8lu  %s\n", shared->looks[i], ways[i].name);
	return result || shared->wrong;
}
