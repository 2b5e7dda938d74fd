/*
 * What the measurements of rtcbench stand on: the library loaded at run time, clocks, waiting, the
 * ends of connections, and the two processes.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef RTCBENCH_HARNESS_H
#define RTCBENCH_HARNESS_H

#define _GNU_SOURCE
#include <rtc/rtc.h>
#include <rtc/rtc_ext.h>

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

/* A library built for data channels only lacks these. */
#define OPTIONAL_FUNCTIONS(X)                                                                      \
	X(rtcCreateWebSocketEx)                                                                        \
	X(rtcCreateWebSocketServer)                                                                    \
	X(rtcGetWebSocketServerPort)                                                                   \
	X(rtcDeleteWebSocketServer)                                                                    \
	X(rtcAddTrackEx)                                                                               \
	X(rtcSetTrackCallback)                                                                         \
	X(rtcSetLocalDescription)                                                                      \
	X(rtcSetH264Packetizer)                                                                        \
	X(rtcSetH265Packetizer)                                                                        \
	X(rtcSetAV1Packetizer)                                                                         \
	X(rtcSetOpusPacketizer)                                                                        \
	X(rtcGetBackendNames)

#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) OPTIONAL_FUNCTIONS(POINTER) } lib;

/* What is measured must be what was asked for: a name that is not compiled in has no effect. */
static void check_backend(rtcBackendRole role, const char *variable) {
	const char *wanted = getenv(variable);
	char names[128];
	if (!wanted || !lib.rtcGetBackendNames)
		return;
	if (lib.rtcGetBackendNames(role, names, sizeof names) < 0)
		give_up("%s tells no backends", options.library);
	names[strcspn(names, ",")] = 0;
	if (strcmp(names, wanted))
		give_up("%s=%s, but %s uses %s", variable, wanted, options.library, names);
}

static void load_library(void) {
	void *handle = dlopen(options.library, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		give_up("cannot load %s: %s", options.library, dlerror());
#define RESOLVE(name)                                                                              \
	if (!(*(void **)&lib.name = dlsym(handle, #name)))                                             \
		give_up("%s has no %s", options.library, #name);
	FUNCTIONS(RESOLVE)
#define RESOLVE_IF_THERE(name) *(void **)&lib.name = dlsym(handle, #name);
	OPTIONAL_FUNCTIONS(RESOLVE_IF_THERE)
	lib.rtcInitLogger(RTC_LOG_NONE, NULL);
	check_backend(RTC_BACKEND_ICE, "RTC_ICE_BACKEND");
	check_backend(RTC_BACKEND_TLS, "RTC_TLS_BACKEND");
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

/* What carries the messages. */
enum carrier { DATA_CHANNEL, TRACK, WEB_SOCKET, SECURE_WEB_SOCKET };

enum duty { COUNT, ECHO, PING };

struct end {
	int index;
	int pc; /* -1 with WebSockets */
	int channel;
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
enum kind { DESCRIPTION, CANDIDATE, SERVER_PORT, ASK_SAMPLE, SAMPLE, LEAVE };
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

static int client_count;

static void on_client(int server UNUSED, int channel, void *end UNUSED) {
	adopt(&ends[client_count++], channel);
}

static void make_ends(int count) {
	ends = calloc((size_t)count, sizeof *ends);
	if (!ends)
		give_up("no memory for %d ends", count);
}

/* One without a connection yet. */
static struct end *make_bare_end(void) {
	struct end *end = &ends[end_count];
	end->index = end_count++;
	end->pc = end->channel = -1;
	pthread_mutex_init(&end->sending, NULL);
	make_condition(&end->room);
	return end;
}

static int largest_message; /* that both take, in bytes; 0 for what they take by themselves */

static struct end *make_end(void) {
	struct end *end = make_bare_end();
	rtcConfiguration configuration;
	memset(&configuration, 0, sizeof configuration);
	configuration.bindAddress = "127.0.0.1";
	configuration.maxMessageSize = largest_message;
	end->pc = OK(lib.rtcCreatePeerConnection(&configuration));
	lib.rtcSetUserPointer(end->pc, end);
	OK(lib.rtcSetLocalDescriptionCallback(end->pc, on_description));
	OK(lib.rtcSetLocalCandidateCallback(end->pc, on_candidate));
	OK(lib.rtcSetStateChangeCallback(end->pc, on_state));
	OK(lib.rtcSetDataChannelCallback(end->pc, on_channel));
	if (lib.rtcSetTrackCallback)
		lib.rtcSetTrackCallback(end->pc, on_channel);
	return end;
}

enum { SSRC = 0x5eed, PAYLOAD_TYPE = 96, RTP_HEADER = 12 };

static rtcCodec track_codec = RTC_CODEC_VP8;

static void call_other(struct end *end, enum carrier carrier) {
	if (carrier == DATA_CHANNEL) {
		adopt(end, OK(lib.rtcCreateDataChannel(end->pc, "rtcbench")));
		return;
	}
	rtcTrackInit init;
	memset(&init, 0, sizeof init);
	init.direction = RTC_DIRECTION_SENDONLY;
	init.codec = track_codec;
	init.payloadType = PAYLOAD_TYPE;
	init.ssrc = SSRC;
	init.mid = "video";
	adopt(end, OK(lib.rtcAddTrackEx(end->pc, &init)));
	OK(lib.rtcSetLocalDescription(end->pc, "offer"));
}

static void delete_end(struct end *end) {
	if (end->channel >= 0)
		lib.rtcDelete(end->channel);
	if (end->pc >= 0)
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
static int far_answers, leave_asked, server_port;

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
		} else if (note.kind == SERVER_PORT) {
			add(&server_port, note.index);
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

/* Makes the far process and what the two talk through. */
static void divide(enum duty near_duty, enum duty far_duty) {
	int sockets[2];
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
}

static void start_reading_wire(void) {
	pthread_t reader;
	if (pthread_create(&reader, NULL, read_wire, NULL))
		give_up("cannot start a thread");
	pthread_detach(reader);
}

static void serve_until_asked_to_leave(void) {
	await(&leave_asked, 1, 3600);
	delete_ends();
	_exit(0);
}

static void connect_peers(int count, enum carrier carrier) {
	if (carrier == TRACK && (!lib.rtcAddTrackEx || !lib.rtcSetTrackCallback))
		give_up("%s has no tracks", options.library);
	make_ends(count);
	for (int i = 0; i < count; i++)
		make_end();
	start_reading_wire();
	if (!far)
		serve_until_asked_to_leave();
	for (int i = 0; i < count; i++)
		call_other(&ends[i], carrier);
}

static void connect_web_sockets(int count, bool is_secure) {
	if (!lib.rtcCreateWebSocketEx || !lib.rtcCreateWebSocketServer)
		give_up("%s has no WebSockets", options.library);
	make_ends(count);
	for (int i = 0; i < count; i++)
		make_bare_end();
	if (!far) {
		rtcWsServerConfiguration configuration;
		memset(&configuration, 0, sizeof configuration);
		configuration.bindAddress = "127.0.0.1";
		configuration.enableTls = is_secure;
		int server = OK(lib.rtcCreateWebSocketServer(&configuration, on_client));
		int port = OK(lib.rtcGetWebSocketServerPort(server));
		start_reading_wire();
		tell((struct note){SERVER_PORT, port}, NULL, 0, NULL, 0);
		serve_until_asked_to_leave(); /* the process takes the server with it */
	}
	start_reading_wire();
	if (!await(&server_port, 1, 10))
		give_up("there is no WebSocket server");
	char url[64];
	snprintf(url, sizeof url, "%s://127.0.0.1:%d/", is_secure ? "wss" : "ws", server_port);
	rtcWsConfiguration configuration;
	memset(&configuration, 0, sizeof configuration);
	configuration.disableTlsVerification = true;
	for (int i = 0; i < count; i++)
		adopt(&ends[i], OK(lib.rtcCreateWebSocketEx(url, &configuration)));
}

/* Connects this process with a new one, `count` times. Returns in the near process only. */
static void connect_two(int count, enum carrier carrier, enum duty near_duty, enum duty far_duty) {
	divide(near_duty, far_duty);
	if (carrier == DATA_CHANNEL || carrier == TRACK)
		connect_peers(count, carrier);
	else
		connect_web_sockets(count, carrier == SECURE_WEB_SOCKET);
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

#endif /* RTCBENCH_HARNESS_H */
