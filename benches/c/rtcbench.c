/*
 * rtcbench: measures any library that offers rtc/rtc.h.
 *
 *   cc -O2 -std=gnu11 -I rtc-capi/include benches/c/rtcbench.c -ldl -lpthread -o rtcbench
 *   ./rtcbench --lib PREFIX/lib/libdatachannel.so bulk:65536 rtt
 *
 * The library is loaded at run time, so one binary measures them all. Every measurement runs in
 * processes of its own. Those that move data use two, so that the CPU time of either side can be
 * told: the near one sends and measures, the far one answers. Signalling goes through a socket
 * between them. All traffic stays on 127.0.0.1.
 *
 * A figure is one line on the standard output: NAME VALUE UNIT and which way is better, `higher` or
 * `lower`. Trouble goes to the standard error. The exit status is 0 when all measurements ended.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include <rtc/rtc.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define SECOND 1000000000ull /* in nanoseconds, as all times here */

static struct {
	const char *library;
	double seconds;  /* measured time of a run */
	double warm_up;  /* time before it */
	int connections; /* how many `setup` makes one after the other */
	int cpu;         /* to run on, -1 for all */
} options = {.seconds = 3, .warm_up = 1, .connections = 40, .cpu = -1};

static void give_up(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fputs("rtcbench: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	_exit(1);
}

/* ---- The library under measurement ----------------------------------------------------------- */

#define FUNCTIONS(X)                                                                               \
	X(rtcInitLogger)                                                                               \
	X(rtcSetUserPointer)                                                                           \
	X(rtcCreatePeerConnection)                                                                     \
	X(rtcDeletePeerConnection)                                                                     \
	X(rtcSetLocalDescriptionCallback)                                                              \
	X(rtcSetLocalCandidateCallback)                                                                \
	X(rtcSetStateChangeCallback)                                                                   \
	X(rtcSetDataChannelCallback)                                                                   \
	X(rtcSetRemoteDescription)                                                                     \
	X(rtcAddRemoteCandidate)                                                                       \
	X(rtcCreateDataChannel)                                                                        \
	X(rtcSetOpenCallback)                                                                          \
	X(rtcSetErrorCallback)                                                                         \
	X(rtcSetMessageCallback)                                                                       \
	X(rtcSetBufferedAmountLowThreshold)                                                            \
	X(rtcSetBufferedAmountLowCallback)                                                             \
	X(rtcGetBufferedAmount)                                                                        \
	X(rtcSendMessage)                                                                              \
	X(rtcDelete)                                                                                   \
	X(rtcPreload)                                                                                  \
	X(rtcCleanup)

#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) } lib;

static void load_library(void) {
	void *handle = dlopen(options.library, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		give_up("cannot load %s: %s", options.library, dlerror());
#define RESOLVE(name)                                                                              \
	if (!(*(void **)&lib.name = dlsym(handle, #name)))                                             \
		give_up("%s has no %s", options.library, #name);
	FUNCTIONS(RESOLVE)
	lib.rtcInitLogger(RTC_LOG_NONE, NULL);
	lib.rtcPreload();
}

/* The result of a call that must not fail. */
static int ok(int result, const char *call) {
	if (result < 0)
		give_up("%s returned %d", call, result);
	return result;
}
#define OK(call) ok((call), #call)

/* ---- Clocks and counters of this process ----------------------------------------------------- */

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_time(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static struct timespec as_timespec(uint64_t t) {
	return (struct timespec){(time_t)(t / SECOND), (long)(t % SECOND)};
}

static void pause_for(double seconds) {
	struct timespec end = as_timespec(now() + (uint64_t)(seconds * SECOND));
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
}

/* A number of /proc/self/status, such as VmRSS (KiB) or Threads. */
static long status_of(const char *key) {
	char line[256];
	long value = 0;
	FILE *status = fopen("/proc/self/status", "r");
	if (!status)
		return 0;
	while (fgets(line, sizeof line, status))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtol(line + strlen(key) + 1, NULL, 10);
	fclose(status);
	return value;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Guards everything that a measurement waits for, but for what senders wait for. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;

static void make_condition(pthread_cond_t *condition) {
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Adds to a counter that `await` looks at. */
static void add(int *counter, int amount) {
	pthread_mutex_lock(&lock);
	*counter += amount;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Waits until a counter has reached a value; false when that takes too long. */
static bool await(const int *counter, int value, double seconds) {
	struct timespec end = as_timespec(now() + (uint64_t)(seconds * SECOND));
	int error = 0;
	pthread_mutex_lock(&lock);
	while (*counter < value && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&changed, &lock, &end);
	bool reached = *counter >= value;
	pthread_mutex_unlock(&lock);
	return reached;
}

/* ---- Ends of connections --------------------------------------------------------------------- */

enum duty { COUNT, ECHO, PING };

struct end {
	int index, pc, channel;
	struct end *other; /* the remote end if it is in this process */
	/* Sending: `room` is signalled when the library can take more. */
	pthread_t sender;
	pthread_mutex_t sending;
	pthread_cond_t room;
	bool has_room;
	atomic_ullong sent;
	/* Receiving, by the one thread that delivers at a time. */
	atomic_ullong messages, bytes, misplaced;
	uint64_t expected;
};

static struct end *ends;
static int end_count, open_count, failed_count, refused_count;
static enum duty duty;
static int wire = -1; /* to the other process */

/* What the other process is told or asked. */
enum kind { DESCRIPTION, CANDIDATE, ASK_SAMPLE, SAMPLE, LEAVE };
struct note {
	enum kind kind;
	int index;
};

static void tell(struct note note, const void *a, size_t a_size, const void *b, size_t b_size) {
	struct iovec parts[] = {{&note, sizeof note}, {(void *)a, a_size}, {(void *)b, b_size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
	while (sendmsg(wire, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void accept_signal(struct end *end, enum kind kind, const char *head, const char *body) {
	if (kind == DESCRIPTION)
		OK(lib.rtcSetRemoteDescription(end->pc, body, head));
	else if (lib.rtcAddRemoteCandidate(end->pc, body, head) < 0)
		add(&refused_count, 1); /* it may come late, when the end is about to be deleted */
}

static void pass_signal(struct end *end, enum kind kind, const char *head, const char *body) {
	if (end->other)
		accept_signal(end->other, kind, head, body);
	else
		tell((struct note){kind, end->index}, head, strlen(head) + 1, body, strlen(body) + 1);
}

static void on_description(int pc UNUSED, const char *sdp, const char *type, void *end) {
	pass_signal(end, DESCRIPTION, type, sdp);
}

static void on_candidate(int pc UNUSED, const char *candidate, const char *mid, void *end) {
	pass_signal(end, CANDIDATE, mid, candidate);
}

static void on_state(int pc UNUSED, rtcState state, void *end UNUSED) {
	if (state == RTC_FAILED)
		add(&failed_count, 1);
}

static void on_open(int channel UNUSED, void *end UNUSED) { add(&open_count, 1); }

static void on_error(int channel, const char *error, void *end UNUSED) {
	fprintf(stderr, "rtcbench: error on channel %d: %s\n", channel, error);
}

static void on_room(int channel UNUSED, void *pointer) {
	struct end *end = pointer;
	pthread_mutex_lock(&end->sending);
	end->has_room = true;
	pthread_cond_signal(&end->room);
	pthread_mutex_unlock(&end->sending);
}

static void on_message(int channel, const char *data, int size, void *pointer);

static void adopt(struct end *end, int channel) {
	end->channel = channel;
	lib.rtcSetUserPointer(channel, end);
	OK(lib.rtcSetErrorCallback(channel, on_error));
	OK(lib.rtcSetMessageCallback(channel, on_message));
	OK(lib.rtcSetOpenCallback(channel, on_open));
}

static void on_channel(int pc UNUSED, int channel, void *end) { adopt(end, channel); }

static void make_ends(int count) {
	ends = calloc((size_t)count, sizeof *ends);
	if (!ends)
		give_up("no memory for %d ends", count);
}

static struct end *make_end(void) {
	struct end *end = &ends[end_count];
	rtcConfiguration configuration;
	memset(&configuration, 0, sizeof configuration);
	configuration.bindAddress = "127.0.0.1";
	end->index = end_count++;
	end->channel = -1;
	pthread_mutex_init(&end->sending, NULL);
	make_condition(&end->room);
	end->pc = OK(lib.rtcCreatePeerConnection(&configuration));
	lib.rtcSetUserPointer(end->pc, end);
	OK(lib.rtcSetLocalDescriptionCallback(end->pc, on_description));
	OK(lib.rtcSetLocalCandidateCallback(end->pc, on_candidate));
	OK(lib.rtcSetStateChangeCallback(end->pc, on_state));
	OK(lib.rtcSetDataChannelCallback(end->pc, on_channel));
	return end;
}

static void call_other(struct end *end) {
	adopt(end, OK(lib.rtcCreateDataChannel(end->pc, "rtcbench")));
}

static void delete_end(struct end *end) {
	if (end->channel >= 0)
		lib.rtcDelete(end->channel);
	OK(lib.rtcDeletePeerConnection(end->pc));
}

static void delete_ends(void) {
	for (int i = 0; i < end_count; i++)
		delete_end(&ends[i]);
	lib.rtcCleanup();
}

/* ---- Counting, echoing, pinging -------------------------------------------------------------- */

static struct {
	uint64_t *times; /* nanoseconds there and back */
	size_t count, capacity;
	uint64_t left_at, stop_at;
	int done;
} ping;

static void send_ping(int channel) {
	static const char payload[64];
	ping.left_at = now();
	OK(lib.rtcSendMessage(channel, payload, sizeof payload));
}

static void on_message(int channel, const char *data, int size, void *pointer) {
	struct end *end = pointer;
	uint64_t number = 0, time;
	switch (duty) {
	case COUNT:
		/* Messages start with a running number. */
		if (size >= (int)sizeof number)
			memcpy(&number, data, sizeof number);
		if (number != end->expected)
			atomic_fetch_add_explicit(&end->misplaced, 1, memory_order_relaxed);
		end->expected = number + 1;
		atomic_fetch_add_explicit(&end->bytes, (unsigned)size, memory_order_relaxed);
		atomic_fetch_add_explicit(&end->messages, 1, memory_order_relaxed);
		break;
	case ECHO:
		OK(lib.rtcSendMessage(channel, data, size));
		break;
	case PING:
		time = now();
		if (ping.count < ping.capacity)
			ping.times[ping.count++] = time - ping.left_at;
		if (time < ping.stop_at)
			send_ping(channel);
		else
			add(&ping.done, 1);
		break;
	}
}

/* ---- What one side has done so far ----------------------------------------------------------- */

struct sample {
	uint64_t time, cpu, sent, messages, bytes, misplaced;
	long peak; /* KiB of memory */
};

static struct sample take_sample(void) {
	struct sample sample = {.time = now(), .cpu = cpu_time(), .peak = status_of("VmHWM")};
	for (int i = 0; i < end_count; i++) {
		sample.sent += atomic_load(&ends[i].sent);
		sample.messages += atomic_load(&ends[i].messages);
		sample.bytes += atomic_load(&ends[i].bytes);
		sample.misplaced += atomic_load(&ends[i].misplaced);
	}
	return sample;
}

static struct sample far_answer;
static int far_answers, leave_asked;

static struct sample ask_far(void) {
	int before = far_answers;
	tell((struct note){ASK_SAMPLE, 0}, NULL, 0, NULL, 0);
	if (!await(&far_answers, before + 1, 10))
		give_up("the far process does not answer");
	return far_answer;
}

/* Takes notes of the other process until it is gone. */
static void *read_wire(void *unused) {
	static char buffer[1 << 16];
	for (;;) {
		struct note note;
		ssize_t size = recv(wire, buffer, sizeof buffer - 1, 0);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < (ssize_t)sizeof note)
			break;
		buffer[size] = 0;
		memcpy(&note, buffer, sizeof note);
		const char *text = buffer + sizeof note;
		if (note.kind == DESCRIPTION || note.kind == CANDIDATE) {
			accept_signal(&ends[note.index], note.kind, text, text + strlen(text) + 1);
		} else if (note.kind == ASK_SAMPLE) {
			struct sample sample = take_sample();
			tell((struct note){SAMPLE, 0}, &sample, sizeof sample, NULL, 0);
		} else if (note.kind == SAMPLE) {
			memcpy(&far_answer, text, sizeof far_answer);
			add(&far_answers, 1);
		} else {
			break;
		}
	}
	add(&leave_asked, 1);
	return unused;
}

/* ---- Two processes --------------------------------------------------------------------------- */

static pid_t far;

static void serve_until_asked_to_leave(void) {
	await(&leave_asked, 1, 3600);
	delete_ends();
	_exit(0);
}

/* Connects this process with a new one, `count` times. Returns in the near process only. */
static void connect_two(int count, enum duty near_duty, enum duty far_duty) {
	int sockets[2];
	pthread_t reader;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets))
		give_up("socketpair: %s", strerror(errno));
	far = fork();
	if (far < 0)
		give_up("fork: %s", strerror(errno));
	if (far == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	wire = sockets[far == 0];
	close(sockets[far != 0]);
	duty = far ? near_duty : far_duty;
	load_library();
	make_ends(count);
	for (int i = 0; i < count; i++)
		make_end();
	pthread_create(&reader, NULL, read_wire, NULL);
	pthread_detach(reader);
	if (!far)
		serve_until_asked_to_leave();
	for (int i = 0; i < count; i++)
		call_other(&ends[i]);
	if (!await(&open_count, count, 30))
		give_up("%d of %d channels open, %d connections failed, %d candidates refused", open_count,
		        count, failed_count, refused_count);
}

static void part(void) {
	int status;
	tell((struct note){LEAVE, 0}, NULL, 0, NULL, 0);
	delete_ends();
	if (waitpid(far, &status, 0) != far || status)
		fprintf(stderr, "rtcbench: the far process ended with status %d\n", status);
}

/* ---- Figures --------------------------------------------------------------------------------- */

static char subject[64]; /* what the figures are about */

static void figure(const char *name, double value, const char *unit, const char *better) {
	printf("%s.%s %.6g %s %s\n", subject, name, value, unit, better);
	fflush(stdout);
}

static int by_value(const void *a, const void *b) {
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* Sorts `values` and returns the one below which a share of them lies. */
static double quantile(uint64_t *values, size_t count, double share) {
	if (count == 0)
		return 0;
	qsort(values, count, sizeof *values, by_value);
	return (double)values[(size_t)(share * (double)(count - 1) + 0.5)];
}

/* ---- bulk and multi: one direction, as fast as it goes --------------------------------------- */

enum { FULL = 1 << 20, LOW = 256 << 10 }; /* bytes buffered when a sender waits and goes on */

static int message_size;
static atomic_bool stop_sending;

static void wait_for_room(struct end *end) {
	struct timespec end_time = as_timespec(now() + SECOND);
	int error = 0;
	pthread_mutex_lock(&end->sending);
	while (!end->has_room && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&end->room, &end->sending, &end_time);
	if (!end->has_room && lib.rtcGetBufferedAmount(end->channel) <= LOW)
		fputs("rtcbench: the callback for a low buffered amount is missing\n", stderr);
	end->has_room = false;
	pthread_mutex_unlock(&end->sending);
}

static void *keep_sending(void *pointer) {
	struct end *end = pointer;
	char *message = calloc(1, (size_t)message_size);
	uint64_t number = 0;
	if (!message)
		give_up("no memory for a message");
	OK(lib.rtcSetBufferedAmountLowThreshold(end->channel, LOW));
	OK(lib.rtcSetBufferedAmountLowCallback(end->channel, on_room));
	while (!atomic_load_explicit(&stop_sending, memory_order_relaxed)) {
		if (OK(lib.rtcGetBufferedAmount(end->channel)) + message_size > FULL) {
			wait_for_room(end);
			continue;
		}
		memcpy(message, &number, sizeof number);
		OK(lib.rtcSendMessage(end->channel, message, message_size));
		atomic_store_explicit(&end->sent, ++number, memory_order_relaxed);
	}
	free(message);
	return NULL;
}

/* Everything sent must arrive, once and in order: a ratio of fast and wrong would mean nothing. */
static void report_losses(void) {
	struct sample near_now = take_sample(), far_now = ask_far();
	for (uint64_t end = now() + 20 * SECOND; far_now.messages < near_now.sent && now() < end;) {
		pause_for(0.05);
		far_now = ask_far();
	}
	double lost = (double)near_now.sent - (double)far_now.messages;
	figure("lost", lost, "messages", "lower");
	figure("misplaced", (double)far_now.misplaced, "messages", "lower");
}

static void measure_bulk(int size, int connections) {
	connect_two(connections, COUNT, COUNT);
	message_size = size;
	for (int i = 0; i < connections; i++)
		pthread_create(&ends[i].sender, NULL, keep_sending, &ends[i]);
	pause_for(options.warm_up);
	struct sample near_start = take_sample(), far_start = ask_far();
	pause_for(options.seconds);
	struct sample near_stop = take_sample(), far_stop = ask_far();
	atomic_store(&stop_sending, true);
	for (int i = 0; i < connections; i++)
		pthread_join(ends[i].sender, NULL);

	double seconds = (double)(far_stop.time - far_start.time) / SECOND;
	double bytes = (double)(far_stop.bytes - far_start.bytes);
	figure("goodput", bytes * 8 / 1e6 / seconds, "Mbit/s", "higher");
	if (connections == 1)
		figure("messages", (double)(far_stop.messages - far_start.messages) / seconds,
		       "messages/s", "higher");
	if (bytes > 0) {
		/* Nanoseconds a byte are seconds a gigabyte. */
		figure("cpu_sender", (double)(near_stop.cpu - near_start.cpu) / bytes, "CPU-s/GB", "lower");
		figure("cpu_receiver", (double)(far_stop.cpu - far_start.cpu) / bytes, "CPU-s/GB", "lower");
	}
	figure("memory_sender", (double)near_stop.peak / 1024, "MiB", "lower");
	figure("memory_receiver", (double)far_stop.peak / 1024, "MiB", "lower");
	report_losses();
	part();
}

static void bulk(int size) { measure_bulk(size, 1); }

static void multi(int connections) { measure_bulk(65536, connections); }

/* ---- rtt: one small message there and back --------------------------------------------------- */

static void rtt(int unused UNUSED) {
	connect_two(1, PING, ECHO);
	for (int is_measured = 0; is_measured < 2; is_measured++) {
		double seconds = is_measured ? options.seconds : options.warm_up;
		ping.capacity = 1000000;
		ping.times = calloc(ping.capacity, sizeof *ping.times);
		ping.count = 0;
		ping.stop_at = now() + (uint64_t)(seconds * SECOND);
		send_ping(ends[0].channel);
		if (!await(&ping.done, is_measured + 1, seconds + 30))
			give_up("no answer after %zu pings", ping.count);
		if (is_measured) {
			figure("median", quantile(ping.times, ping.count, 0.5) / 1e3, "us", "lower");
			figure("p99", quantile(ping.times, ping.count, 0.99) / 1e3, "us", "lower");
		}
		free(ping.times);
	}
	part();
}

/* ---- setup and many: both ends in one process ------------------------------------------------ */

static struct end *start_pair(void) {
	struct end *a = make_end(), *b = make_end();
	a->other = b;
	b->other = a;
	call_other(a);
	return a;
}

/* From creating two ends to an open channel on both. */
static void setup(int count) {
	enum { WARM_UP = 2 };
	uint64_t *times = calloc((size_t)count, sizeof *times);
	int slow = 0;
	load_library();
	make_ends(2 * (count + WARM_UP));
	uint64_t cpu = 0;
	for (int i = -WARM_UP; i < count; i++) {
		uint64_t start = now(), cpu_start = cpu_time();
		struct end *pair = start_pair();
		if (!await(&open_count, end_count, 30))
			give_up("connection %d did not open", i);
		uint64_t taken = now() - start;
		if (i >= 0) {
			times[i] = taken;
			cpu += cpu_time() - cpu_start;
			slow += taken > SECOND / 2;
		}
		delete_end(&pair[0]);
		delete_end(&pair[1]);
	}
	figure("median", quantile(times, (size_t)count, 0.5) / 1e6, "ms", "lower");
	figure("p90", quantile(times, (size_t)count, 0.9) / 1e6, "ms", "lower");
	figure("over_500ms", 100.0 * slow / count, "%", "lower");
	figure("cpu_both", (double)cpu / 1e6 / count, "CPU-ms", "lower");
	lib.rtcCleanup();
}

/* What open connections cost while nothing happens. */
static void many(int pairs) {
	enum { AT_ONCE = 8 };
	load_library();
	make_ends(2 * pairs);
	pause_for(0.2);
	long memory_before = status_of("VmRSS");
	uint64_t start = now();
	for (int i = 0; i < pairs; i++) {
		start_pair();
		if (!await(&open_count, 2 * (i + 1 - AT_ONCE), 60))
			give_up("%d of %d channels open", open_count, end_count);
	}
	if (!await(&open_count, end_count, 60))
		give_up("%d of %d channels open", open_count, end_count);
	double taken = (double)(now() - start) / SECOND;
	pause_for(2);
	long memory = status_of("VmRSS") - memory_before;
	double idle_seconds = options.seconds < 5 ? 5 : options.seconds;
	uint64_t cpu_start = cpu_time();
	pause_for(idle_seconds);
	double cpu = (double)(cpu_time() - cpu_start) / 1e3;
	figure("rate", pairs / taken, "pairs/s", "higher");
	figure("memory", (double)memory / end_count, "KiB/connection", "lower");
	figure("threads", (double)status_of("Threads"), "threads", "lower");
	figure("idle_cpu", cpu / idle_seconds / end_count, "us/s/connection", "lower");
	start = now();
	delete_ends();
	figure("teardown", (double)(now() - start) / 1e6, "ms", "lower");
}

/* ---- Command line ---------------------------------------------------------------------------- */

static const struct mode {
	const char *name;
	void (*run)(int);
	int number; /* default of what may follow the name after a colon, 0 if nothing may */
	const char *meaning;
} modes[] = {
	{"bulk", bulk, 65536, "one channel; bytes of a message"},
	{"rtt", rtt, 0, "64 bytes there and back"},
	{"setup", setup, -1, "connections made one after the other"},
	{"many", many, 100, "idle pairs of connections"},
	{"multi", multi, 8, "connections sending at the same time"},
};

static int usage(void) {
	fputs("usage: rtcbench --lib FILE [--seconds S] [--warm-up S] [--cpu N] MODE[:NUMBER]...\n",
	      stderr);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		fprintf(stderr, "  %-6s %s\n", modes[i].name, modes[i].meaning);
	return 2;
}

static const struct mode *find_mode(const char *word, int *number) {
	size_t length = strcspn(word, ":");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strlen(modes[i].name) != length || strncmp(modes[i].name, word, length) != 0)
			continue;
		*number = modes[i].number < 0 ? options.connections : modes[i].number;
		if (word[length] == ':')
			*number = atoi(word + length + 1);
		bool fits = *number >= (modes[i].run == bulk ? (int)sizeof(uint64_t) : 1);
		return modes[i].number == 0 || fits ? &modes[i] : NULL;
	}
	return NULL;
}

/* Runs a measurement in a process of its own; true when it came to its end. */
static bool run_apart(const char *word) {
	int status, number;
	const struct mode *mode = find_mode(word, &number);
	pid_t child = fork();
	if (child < 0)
		give_up("fork: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm((unsigned)(options.seconds + options.warm_up) + 180);
		make_condition(&changed);
		snprintf(subject, sizeof subject, number ? "%s.%d" : "%s", mode->name, number);
		mode->run(number);
		_exit(0);
	}
	if (waitpid(child, &status, 0) == child && status == 0)
		return true;
	fprintf(stderr, "rtcbench: %s ended with status %d\n", word, status);
	return false;
}

static void raise_file_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int count, char **words) {
	int first = 1, number;
	bool all_ended = true;
	for (; first + 1 < count && strncmp(words[first], "--", 2) == 0; first += 2) {
		const char *name = words[first], *value = words[first + 1];
		if (strcmp(name, "--lib") == 0)
			options.library = value;
		else if (strcmp(name, "--seconds") == 0)
			options.seconds = atof(value);
		else if (strcmp(name, "--warm-up") == 0)
			options.warm_up = atof(value);
		else if (strcmp(name, "--cpu") == 0)
			options.cpu = atoi(value);
		else
			return usage();
	}
	if (!options.library || first >= count)
		return usage();
	for (int i = first; i < count; i++)
		if (!find_mode(words[i], &number))
			return usage();
	if (options.cpu >= 0) {
		cpu_set_t cpus;
		CPU_ZERO(&cpus);
		CPU_SET(options.cpu, &cpus);
		if (sched_setaffinity(0, sizeof cpus, &cpus))
			give_up("cannot run on CPU %d: %s", options.cpu, strerror(errno));
	}
	raise_file_limit();
	for (int i = first; i < count; i++)
		all_ended &= run_apart(words[i]);
	return all_ended ? 0 : 1;
}
