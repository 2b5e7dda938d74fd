/*
 * Two peers in one process: they exchange descriptions and candidates by plain function calls, open
 * a data channel, greet each other, and measure how fast data goes.
 *
 *   cc examples/c/offer_answer.c $(pkg-config --cflags --libs libdatachannel) -lpthread
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <rtc/rtc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MESSAGE = 64 * 1024,  /* bytes */
	QUEUE = 1024 * 1024,  /* bytes buffered when the sender waits */
	DURATION_MS = 2000,   /* of the measurement */
	PATIENCE_S = 20       /* before the program gives up */
};

struct peer {
	const char *name;
	struct peer *other;
	int pc;
	int dc;
};

static struct peer alice = {.name = "alice"}, bob = {.name = "bob"};

/* Callbacks run on the library's threads; what they share with main is guarded by this. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int open_channels, greetings, queue_is_low, last_message_came;
static long long received; /* bytes, since the first measured message */
static double started, finished;

static double seconds(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int check(int result, const char *what) {
	if (result < 0) {
		fprintf(stderr, "%s failed: %d\n", what, result);
		exit(1);
	}
	return result;
}

static void notify(int *what) {
	pthread_mutex_lock(&lock);
	++*what;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(const int *what, int value, const char *meaning) {
	struct timespec deadline;
	int error = 0;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&lock);
	while (*what < value && error == 0)
		error = pthread_cond_timedwait(&changed, &lock, &deadline);
	pthread_mutex_unlock(&lock);
	if (error != 0) {
		fprintf(stderr, "gave up waiting: %s\n", meaning);
		exit(1);
	}
}

/* ---- What a connection reports --------------------------------------------------------------- */

static void on_description(int pc, const char *sdp, const char *type, void *user) {
	struct peer *me = user;
	(void)pc;
	printf("%-5s  %s of %zu bytes\n", me->name, type, strlen(sdp));
	check(rtcSetRemoteDescription(me->other->pc, sdp, type), "rtcSetRemoteDescription");
}

static void on_candidate(int pc, const char *candidate, const char *mid, void *user) {
	struct peer *me = user;
	(void)pc;
	printf("%-5s  %s\n", me->name, candidate);
	check(rtcAddRemoteCandidate(me->other->pc, candidate, mid), "rtcAddRemoteCandidate");
}

static void on_state(int pc, rtcState state, void *user) {
	static const char *const names[] = {"new",          "connecting", "connected",
	                                    "disconnected", "failed",     "closed"};
	struct peer *me = user;
	(void)pc;
	printf("%-5s  is %s\n", me->name, names[state]);
}

/* ---- What a channel reports ------------------------------------------------------------------ */

static void on_open(int dc, void *user) {
	struct peer *me = user;
	char text[64];
	snprintf(text, sizeof text, "hello from %s", me->name);
	check(rtcSendMessage(dc, text, -1), "rtcSendMessage"); /* -1: text */
	notify(&open_channels);
}

static void on_message(int dc, const char *message, int size, void *user) {
	struct peer *me = user;
	(void)dc;
	if (size < 0) {
		printf("%-5s  got \"%s\"\n", me->name, message);
		notify(&greetings);
	} else if (size > 0) {
		finished = seconds();
		received += size;
	} else { /* an empty message ends the measurement */
		notify(&last_message_came);
	}
}

static void on_low(int dc, void *user) {
	(void)dc;
	(void)user;
	notify(&queue_is_low);
}

static void use_channel(struct peer *me, int dc) {
	me->dc = dc;
	rtcSetUserPointer(dc, me);
	check(rtcSetMessageCallback(dc, on_message), "rtcSetMessageCallback");
	check(rtcSetOpenCallback(dc, on_open), "rtcSetOpenCallback");
}

static void on_channel(int pc, int dc, void *user) {
	struct peer *me = user;
	char label[64];
	(void)pc;
	check(rtcGetDataChannelLabel(dc, label, sizeof label), "rtcGetDataChannelLabel");
	printf("%-5s  was given channel \"%s\"\n", me->name, label);
	use_channel(me, dc);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void create(struct peer *me, struct peer *other) {
	rtcConfiguration configuration;
	memset(&configuration, 0, sizeof configuration);
	configuration.bindAddress = "127.0.0.1"; /* the two need no other */
	me->other = other;
	me->dc = -1;
	me->pc = check(rtcCreatePeerConnection(&configuration), "rtcCreatePeerConnection");
	rtcSetUserPointer(me->pc, me);
	check(rtcSetLocalDescriptionCallback(me->pc, on_description), "setting a callback");
	check(rtcSetLocalCandidateCallback(me->pc, on_candidate), "setting a callback");
	check(rtcSetStateChangeCallback(me->pc, on_state), "setting a callback");
	check(rtcSetDataChannelCallback(me->pc, on_channel), "setting a callback");
}

static void send_for_a_while(int dc) {
	char *message = calloc(1, MESSAGE);
	if (message == NULL)
		exit(1);
	check(rtcSetBufferedAmountLowThreshold(dc, QUEUE / 2), "setting the threshold");
	check(rtcSetBufferedAmountLowCallback(dc, on_low), "setting a callback");
	started = seconds();
	while (seconds() - started < DURATION_MS / 1000.0) {
		pthread_mutex_lock(&lock);
		queue_is_low = 0;
		pthread_mutex_unlock(&lock);
		if (check(rtcGetBufferedAmount(dc), "rtcGetBufferedAmount") > QUEUE)
			wait_for(&queue_is_low, 1, "for the queue to drain");
		check(rtcSendMessage(dc, message, MESSAGE), "rtcSendMessage");
	}
	check(rtcSendMessage(dc, message, 0), "rtcSendMessage");
	free(message);
}

int main(void) {
	double began;
	setvbuf(stdout, NULL, _IOLBF, 0);
	rtcInitLogger(RTC_LOG_WARNING, NULL);
	rtcPreload();

	began = seconds();
	create(&alice, &bob);
	create(&bob, &alice);
	/* This starts the negotiation: alice makes an offer, bob answers. */
	use_channel(&alice, check(rtcCreateDataChannel(alice.pc, "chat"), "rtcCreateDataChannel"));
	wait_for(&open_channels, 2, "for the channels to open");
	printf("open after %.1f ms\n", (seconds() - began) * 1e3);
	wait_for(&greetings, 2, "for the greetings");

	send_for_a_while(alice.dc);
	wait_for(&last_message_came, 1, "for the last message");
	printf("%.0f Mbit/s (%lld bytes in %.2f s, messages of %d KiB)\n",
	       (double)received * 8 / 1e6 / (finished - started), received, finished - started,
	       MESSAGE / 1024);

	check(rtcDeleteDataChannel(alice.dc), "rtcDeleteDataChannel");
	check(rtcDeleteDataChannel(bob.dc), "rtcDeleteDataChannel");
	check(rtcDeletePeerConnection(alice.pc), "rtcDeletePeerConnection");
	check(rtcDeletePeerConnection(bob.pc), "rtcDeletePeerConnection");
	rtcCleanup();
	return 0;
}
