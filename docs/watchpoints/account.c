/*
 * Two threads add to a balance, under a lock. One of them forgets the lock in as many rounds
 * as the argument says.
 *
 *	gcc -O1 -pthread -o account account.c && ./account 1
 *
 * Prints where its words are and stops; goes on at SIGCONT.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 100

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;

/* The lock's words: who holds it counts here that it was taken, and that it is given back. */
static volatile unsigned long taken, released;
static volatile unsigned long balance;
static int forgotten;

static void lock(void)
{
	pthread_mutex_lock(&mutex);
	taken++;
}

static void unlock(void)
{
	released++;
	pthread_mutex_unlock(&mutex);
}

static void *add(void *careless)
{
	pthread_barrier_wait(&start);
	for (int round = 0; round < ROUNDS; round++) {
		int forgets = careless && round % 10 == 5 && round / 10 < forgotten;

		if (!forgets)
			lock();
		balance++;
		if (!forgets)
			unlock();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t careful, careless;

	forgotten = argc > 1 ? atoi(argv[1]) : 0;
	pthread_barrier_init(&start, NULL, 3);
	pthread_create(&careful, NULL, add, NULL);
	pthread_create(&careless, NULL, add, &forgotten);

	printf("pid=%d\ntaken=%p\nreleased=%p\nbalance=%p\n", getpid(),
	       (void *)&taken, (void *)&released, (void *)&balance);
	fflush(stdout);
	raise(SIGSTOP);

	pthread_barrier_wait(&start);
	pthread_join(careful, NULL);
	pthread_join(careless, NULL);
	return 0;
}
