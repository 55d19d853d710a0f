/*
 * What a caller pays, for bench/tree.py: microseconds for one of
 *
 *	client OPERATION PATH
 *
 * the best of many short runs, one number on stdout. OPERATION is a row of the table below.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUNS 60
#define TIMES 300

static const char *path;
static int descriptor;
static char buffer[131072];

static int must(int result)
{
	if (result < 0) {
		perror(path);
		exit(1);
	}
	return result;
}

static void open_read_close(void)
{
	int fd = must(open(path, O_RDONLY));

	must(read(fd, buffer, 4096));
	close(fd);
}

static void cat(void)
{
	int fd = must(open(path, O_RDONLY));

	while (must(read(fd, buffer, sizeof(buffer))))
		;
	close(fd);
}

static void echo(void)
{
	int fd = must(open(path, O_WRONLY | O_TRUNC));

	must(write(fd, "1\n", 2));
	close(fd);
}

static void pread_(void)
{
	must(pread(descriptor, buffer, 4096, 0));
}

static void write_(void)
{
	must(pwrite(descriptor, "1\n", 2, 0));
}

static void stat_(void)
{
	struct stat st;

	must(stat(path, &st));
}

static void asked(void) /* whatever the kernel keeps */
{
	struct statx st;

	must(statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st));
}

static void readdir_(void)
{
	DIR *dir = opendir(path);

	if (!dir)
		must(-1);
	while (readdir(dir))
		;
	closedir(dir);
}

static const struct {
	const char *name;
	void (*run)(void);
	int flags; /* with which the path is opened first, or -1 */
} operations[] = {
	{ "open+read+close", open_read_close, -1 },
	{ "cat", cat, -1 },
	{ "echo", echo, -1 },
	{ "pread", pread_, O_RDONLY },
	{ "write", write_, O_WRONLY },
	{ "stat", stat_, -1 },
	{ "getattr", asked, -1 },
	{ "readdir", readdir_, -1 },
};

static double microseconds(void (*run)(void))
{
	struct timespec began, ended;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int i = 0; i < TIMES; i++)
		run();
	clock_gettime(CLOCK_MONOTONIC, &ended);
	return ((ended.tv_sec - began.tv_sec) * 1e9 + (ended.tv_nsec - began.tv_nsec)) / 1e3 / TIMES;
}

int main(int argc, char *argv[])
{
	size_t n = sizeof(operations) / sizeof(operations[0]);
	double best = 1e9;

	for (size_t i = 0; argc == 3 && i < n; i++) {
		if (strcmp(argv[1], operations[i].name))
			continue;
		path = argv[2];
		descriptor = operations[i].flags < 0 ? -1 : must(open(path, operations[i].flags));
		for (int run = 0; run < RUNS; run++) {
			double took = microseconds(operations[i].run);

			best = took < best ? took : best;
		}
		printf("%.3f\n", best);
		return 0;
	}
	fprintf(stderr, "usage: client OPERATION PATH\n");
	return 2;
}
