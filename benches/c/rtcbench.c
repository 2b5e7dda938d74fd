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
#include "harness.h"

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
enum { USUAL_LIMIT = 256 << 10 };         /* bytes of a message that every library takes */

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
	int full = FULL > LOW + message_size ? FULL : LOW + message_size;
	if (!message)
		give_up("no memory for a message");
	OK(lib.rtcSetBufferedAmountLowThreshold(end->channel, LOW));
	OK(lib.rtcSetBufferedAmountLowCallback(end->channel, on_room));
	while (!atomic_load_explicit(&stop_sending, memory_order_relaxed)) {
		if (OK(lib.rtcGetBufferedAmount(end->channel)) + message_size > full) {
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

static void measure_bulk(int size, int connections, enum carrier carrier) {
	message_size = size;
	largest_message = size > USUAL_LIMIT ? size : 0;
	connect_two(connections, carrier, COUNT, COUNT);
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
	if (connections == 1 || carrier != DATA_CHANNEL)
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

static void bulk(int size) { measure_bulk(size, 1, DATA_CHANNEL); }

static void multi(int connections) { measure_bulk(65536, connections, DATA_CHANNEL); }

static void ws(int size) { measure_bulk(size, 1, WEB_SOCKET); }

static void wss(int size) { measure_bulk(size, 1, SECURE_WEB_SOCKET); }

enum { WEB_SOCKETS = 100 };

static void ws_many(int size) { measure_bulk(size, WEB_SOCKETS, WEB_SOCKET); }

static void wss_many(int size) { measure_bulk(size, WEB_SOCKETS, SECURE_WEB_SOCKET); }

/* ---- media: RTP packets as fast as they go, which may lose some ------------------------------ */

static void *keep_sending_packets(void *pointer) {
	struct end *end = pointer;
	unsigned char *packet = calloc(1, (size_t)message_size);
	uint32_t number = 0;
	if (!packet)
		give_up("no memory for a packet");
	packet[0] = 0x80; /* version 2 */
	packet[1] = PAYLOAD_TYPE;
	packet[10] = SSRC >> 8;
	packet[11] = SSRC & 0xff;
	for (; !atomic_load_explicit(&stop_sending, memory_order_relaxed); number++) {
		packet[2] = (unsigned char)(number >> 8);
		packet[3] = (unsigned char)number;
		if (lib.rtcSendMessage(end->channel, (char *)packet, message_size) == RTC_ERR_SUCCESS)
			atomic_fetch_add_explicit(&end->sent, 1, memory_order_relaxed);
	}
	free(packet);
	return NULL;
}

static void media(int size) {
	connect_two(1, TRACK, COUNT, COUNT);
	message_size = size;
	pthread_create(&ends[0].sender, NULL, keep_sending_packets, &ends[0]);
	pause_for(options.warm_up);
	struct sample near_start = take_sample(), far_start = ask_far();
	pause_for(options.seconds);
	struct sample near_stop = take_sample(), far_stop = ask_far();
	atomic_store(&stop_sending, true);
	pthread_join(ends[0].sender, NULL);

	double sent = (double)(near_stop.sent - near_start.sent);
	double received = (double)(far_stop.messages - far_start.messages);
	double seconds = (double)(far_stop.time - far_start.time) / SECOND;
	figure("sent", sent / seconds, "packets/s", "higher");
	figure("received", received / seconds, "packets/s", "higher");
	if (sent > 0)
		figure("cpu_sender", (double)(near_stop.cpu - near_start.cpu) / 1e3 / sent, "us/packet",
		       "lower");
	if (received > 0)
		figure("cpu_receiver", (double)(far_stop.cpu - far_start.cpu) / 1e3 / received, "us/packet",
		       "lower");
	part();
}

/* ---- packetize-CODEC: samples through a packetizer ------------------------------------------- */

enum { SAMPLE_HEAD = 8 /* no sample is shorter */, FRAGMENT = 1200, BURST = 1024 };

static struct {
	unsigned char *sample;
	int size;
	int (**set)(int track, const rtcPacketizerInit *init); /* filled in when the library is loaded */
} packetizer;

/* A sample whose first bytes are given; the others matter to nobody. */
static void make_sample(int size, const void *head, size_t head_size) {
	packetizer.size = size;
	packetizer.sample = malloc((size_t)size);
	if (!packetizer.sample)
		give_up("no memory for a sample");
	memset(packetizer.sample, 0xa5, (size_t)size);
	memcpy(packetizer.sample, head, head_size);
}

static void set_packetizer(int track) {
	/* Has room for what later versions add at the end. */
	static union {
		rtcPacketizerInit init;
		char room[256];
	} all;
	all.init.ssrc = SSRC;
	all.init.cname = "rtcbench";
	all.init.payloadType = PAYLOAD_TYPE;
	all.init.clockRate = track_codec == RTC_CODEC_OPUS ? 48000 : 90000;
	all.init.maxFragmentSize = FRAGMENT;
	all.init.nalSeparator = RTC_NAL_SEPARATOR_LONG_START_SEQUENCE;
	all.init.obuPacketization = RTC_OBU_PACKETIZED_TEMPORAL_UNIT;
	if (!*packetizer.set)
		give_up("%s has no such packetizer", options.library);
	OK((*packetizer.set)(track, &all.init));
}

/* Sends about BURST packets; nanoseconds. */
static uint64_t send_burst(struct end *end) {
	int count = BURST / (1 + packetizer.size / FRAGMENT);
	uint64_t start = now();
	for (int i = 0; i < count; i++)
		OK(lib.rtcSendMessage(end->channel, (char *)packetizer.sample, packetizer.size));
	atomic_fetch_add_explicit(&end->sent, (unsigned)count, memory_order_relaxed);
	return now() - start;
}

/* Nothing holds back a track: without this, so many packets in a row would get lost that the other
 * side cannot know their indices (RFC 3711 section 3.3.1). */
static struct sample await_silence(void) {
	struct sample far_before, far_now = ask_far();
	do {
		far_before = far_now;
		pause_for(0.001);
		far_now = ask_far();
	} while (far_now.messages != far_before.messages);
	return far_now;
}

static void packetize(rtcCodec codec, int (**set)(int, const rtcPacketizerInit *)) {
	track_codec = codec;
	packetizer.set = set;
	connect_two(1, TRACK, COUNT, COUNT);
	set_packetizer(ends[0].channel);
	uint64_t end = now() + (uint64_t)(options.warm_up * SECOND), spent = 0;
	while (now() < end) {
		send_burst(&ends[0]);
		await_silence();
	}
	struct sample near_start = take_sample(), far_start = await_silence(), far_stop = far_start;
	for (end = now() + (uint64_t)(options.seconds * SECOND); now() < end;) {
		spent += send_burst(&ends[0]);
		far_stop = await_silence();
	}
	struct sample near_stop = take_sample();

	double sent = (double)(near_stop.sent - near_start.sent);
	double received = (double)(far_stop.messages - far_start.messages);
	if (received == 0)
		give_up("no packet of %.0f samples arrived", sent);
	figure("sent", sent * SECOND / (double)spent, "samples/s", "higher");
	figure("packets", received / sent, "received/sample", "higher");
	figure("cpu_sender", (double)(near_stop.cpu - near_start.cpu) / 1e3 / sent, "us/sample", "lower");
	figure("cpu_receiver", (double)(far_stop.cpu - far_start.cpu) / 1e3 / received, "us/packet",
	       "lower");
	part();
}

static void packetize_h264(int size) {
	static const unsigned char head[] = {0, 0, 0, 1, 0x65}; /* a slice of an IDR picture */
	make_sample(size, head, sizeof head);
	packetize(RTC_CODEC_H264, &lib.rtcSetH264Packetizer);
}

static void packetize_h265(int size) {
	static const unsigned char head[] = {0, 0, 0, 1, 0x26, 1}; /* the same, of an IDR_W_RADL */
	make_sample(size, head, sizeof head);
	packetize(RTC_CODEC_H265, &lib.rtcSetH265Packetizer);
}

static void packetize_av1(int size) {
	/* A temporal delimiter, and a frame OBU with its size in three times seven bits (AV1 4.10.5). */
	unsigned rest = (unsigned)size - 6;
	unsigned char head[] = {0x12, 0, 0x32, 0x80 | (rest & 0x7f), 0x80 | (rest >> 7 & 0x7f),
	                        rest >> 14 & 0x7f};
	make_sample(size, head, sizeof head);
	packetize(RTC_CODEC_AV1, &lib.rtcSetAV1Packetizer);
}

static void packetize_opus(int size) {
	make_sample(size, "", 0);
	packetize(RTC_CODEC_OPUS, &lib.rtcSetOpusPacketizer);
}

/* ---- rtt: one small message there and back --------------------------------------------------- */

static void measure_rtt(enum carrier carrier) {
	connect_two(1, carrier, PING, ECHO);
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

static void rtt(int unused UNUSED) { measure_rtt(DATA_CHANNEL); }

static void ws_rtt(int unused UNUSED) { measure_rtt(WEB_SOCKET); }

/* ---- setup and many: both ends in one process ------------------------------------------------ */

static struct end *start_pair(void) {
	struct end *a = make_end(), *b = make_end();
	a->other = b;
	b->other = a;
	call_other(a, DATA_CHANNEL);
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
	int number; /* default of what may follow the name and a colon; 0: nothing, -1: an option */
	int least;  /* that may follow */
	const char *meaning;
} modes[] = {
	{"bulk", bulk, 65536, sizeof(uint64_t), "one data channel; bytes of a message"},
	{"rtt", rtt, 0, 0, "64 bytes there and back"},
	{"setup", setup, -1, 1, "connections made one after the other"},
	{"many", many, 100, 1, "idle pairs of connections"},
	{"multi", multi, 8, 1, "connections sending at the same time"},
	{"ws", ws, 65536, sizeof(uint64_t), "one WebSocket; bytes of a message"},
	{"wss", wss, 65536, sizeof(uint64_t), "the same over TLS"},
	{"wsmany", ws_many, 65536, sizeof(uint64_t), "a hundred WebSockets; bytes of a message"},
	{"wssmany", wss_many, 65536, sizeof(uint64_t), "the same over TLS"},
	{"wsrtt", ws_rtt, 0, 0, "64 bytes there and back over a WebSocket"},
	{"media", media, 1200, RTP_HEADER, "one track; bytes of an RTP packet"},
	{"packetize-h264", packetize_h264, 20000, SAMPLE_HEAD, "one track; bytes of a sample"},
	{"packetize-h265", packetize_h265, 20000, SAMPLE_HEAD, "the same"},
	{"packetize-av1", packetize_av1, 20000, SAMPLE_HEAD, "the same"},
	{"packetize-opus", packetize_opus, 160, SAMPLE_HEAD, "the same"},
};

static int usage(void) {
	fputs("usage: rtcbench --lib FILE [--seconds S] [--warm-up S] [--cpu N] MODE[:NUMBER]...\n",
	      stderr);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		fprintf(stderr, "  %-14s  %s\n", modes[i].name, modes[i].meaning);
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
		return *number >= modes[i].least ? &modes[i] : NULL;
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
