/*
 * A program that needs media and WebSockets, written for any version of the C API that has them: a
 * track sends H.264 from one peer to another, and a WebSocket client talks to a server.
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
	PAYLOAD_TYPE = 96,
	SSRC = 0x5eed,
	UNIT = 5000,     /* bytes of a NAL unit, which takes several packets */
	FRAGMENT = 1000, /* bytes of a packet's payload at most */
	PATIENCE_S = 20
};

static const char TEXT[] = "hello";

/* Callbacks run on the library's threads; what they share with main is guarded by this. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int tracks_open, frames, texts;
static int sender, receiver; /* peer connections */
static int gathered[2];

static int check(int result, const char *what) {
	if (result < 0) {
		fprintf(stderr, "media: %s returned %d\n", what, result);
		exit(1);
	}
	return result;
}
#define CHECK(call) check((call), #call)

static void demand(int holds, const char *what) {
	if (!holds) {
		fprintf(stderr, "media: %s\n", what);
		exit(1);
	}
}

static void notify(int *what) {
	pthread_mutex_lock(&lock);
	++*what;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(const int *what, int count, const char *name) {
	struct timespec end;
	int error = 0;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&lock);
	while (*what < count && error == 0)
		error = pthread_cond_timedwait(&changed, &lock, &end);
	pthread_mutex_unlock(&lock);
	demand(error == 0, name);
}

/* ---- The track ------------------------------------------------------------------------------- */

static void on_gathered(int pc, rtcGatheringState state, void *user) {
	(void)pc;
	if (state == RTC_GATHERING_COMPLETE)
		notify(user);
}

static void on_open(int track, void *user) {
	(void)track;
	(void)user;
	notify(&tracks_open);
}

/* The fragments of one NAL unit: FU-A packets (RFC 6184 section 5.8), the last with the marker. */
static void on_packet(int track, const char *data, int size, void *user) {
	static int next_byte = 1, last_number = -1;
	const unsigned char *packet = (const unsigned char *)data;
	int number, i;
	(void)track;
	(void)user;
	if (size >= 2 && packet[1] >= 192 && packet[1] <= 223)
		return; /* RTCP */
	demand(size > 14 && size <= 12 + FRAGMENT + 100, "a packet has a wrong size");
	demand(packet[0] == 0x80 && (packet[1] & 0x7f) == PAYLOAD_TYPE, "not our packet");
	demand(packet[8] == 0 && packet[9] == 0 && (packet[10] << 8 | packet[11]) == SSRC,
	       "another SSRC");
	number = packet[2] << 8 | packet[3];
	demand(last_number < 0 || number == ((last_number + 1) & 0xffff), "a packet is missing");
	last_number = number;
	demand((packet[12] & 0x1f) == 28 && (packet[13] & 0x1f) == 5, "no fragment of a key frame");
	demand((packet[13] >> 7) == (next_byte == 1), "the first fragment is not marked");
	for (i = 14; i < size; i++, next_byte++)
		demand(packet[i] == next_byte % 251 + 1, "a byte differs");
	if (packet[1] & 0x80) {
		demand(next_byte == UNIT, "a unit is not complete");
		next_byte = 1;
		notify(&frames);
	}
}

static void on_track(int pc, int track, void *user) {
	(void)pc;
	(void)user;
	CHECK(rtcSetOpenCallback(track, on_open));
	CHECK(rtcSetMessageCallback(track, on_packet));
}

static int create(int *is_gathered) {
	rtcConfiguration configuration;
	int pc;
	memset(&configuration, 0, sizeof configuration);
	configuration.bindAddress = "127.0.0.1";
	configuration.disableAutoNegotiation = true;
	pc = CHECK(rtcCreatePeerConnection(&configuration));
	rtcSetUserPointer(pc, is_gathered);
	CHECK(rtcSetGatheringStateChangeCallback(pc, on_gathered));
	CHECK(rtcSetTrackCallback(pc, on_track));
	return pc;
}

/* Has `from` describe itself to `to`, with all its candidates. */
static void describe(int from, int to, int *is_gathered, const char *type) {
	char sdp[8192];
	CHECK(rtcSetLocalDescription(from, type));
	wait_for(is_gathered, 1, "candidates were not gathered");
	CHECK(rtcGetLocalDescription(from, sdp, sizeof sdp));
	CHECK(rtcSetRemoteDescription(to, sdp, type));
}

static int add_track(void) {
	/* The structure grew at its end in 0.24: a library newer than the program reads more. */
	union {
		rtcPacketizerInit init;
		char room[sizeof(rtcPacketizerInit) + 64];
	} packetizer;
	rtcTrackInit init;
	int track;
	memset(&init, 0, sizeof init);
	init.direction = RTC_DIRECTION_SENDONLY;
	init.codec = RTC_CODEC_H264;
	init.payloadType = PAYLOAD_TYPE;
	init.ssrc = SSRC;
	init.mid = "video";
	init.name = "camera";
	track = CHECK(rtcAddTrackEx(sender, &init));
	memset(&packetizer, 0, sizeof packetizer);
	packetizer.init.ssrc = SSRC;
	packetizer.init.cname = "camera";
	packetizer.init.payloadType = PAYLOAD_TYPE;
	packetizer.init.clockRate = 90000;
	packetizer.init.maxFragmentSize = FRAGMENT;
	packetizer.init.nalSeparator = RTC_NAL_SEPARATOR_START_SEQUENCE;
	CHECK(rtcSetH264Packetizer(track, &packetizer.init));
	CHECK(rtcChainRtcpSrReporter(track));
	CHECK(rtcChainRtcpNackResponder(track, 100));
	CHECK(rtcSetOpenCallback(track, on_open));
	return track;
}

static void send_video(void) {
	unsigned char frame[4 + UNIT] = {0, 0, 0, 1, 0x65};
	char text[16];
	uint32_t ticks;
	int i, track;
	for (i = 1; i < UNIT; i++)
		frame[4 + i] = (unsigned char)(i % 251 + 1);
	sender = create(&gathered[0]);
	receiver = create(&gathered[1]);
	track = add_track();
	describe(sender, receiver, &gathered[0], "offer");
	describe(receiver, sender, &gathered[1], "answer");
	wait_for(&tracks_open, 2, "the tracks did not open");
	CHECK(rtcGetTrackMid(track, text, sizeof text));
	demand(strcmp(text, "video") == 0, "another mid");
	for (i = 1; i <= 3; i++) {
		CHECK(rtcTransformSecondsToTimestamp(track, i / 25.0, &ticks));
		demand(ticks == (uint32_t)(90000 * i / 25), "ticks are counted otherwise");
		CHECK(rtcSetTrackRtpTimestamp(track, ticks));
		CHECK(rtcSendMessage(track, (const char *)frame, sizeof frame));
		wait_for(&frames, i, "a frame did not arrive");
	}
	CHECK(rtcDeleteTrack(track));
	CHECK(rtcDeletePeerConnection(sender));
	CHECK(rtcDeletePeerConnection(receiver));
}

/* ---- The WebSockets -------------------------------------------------------------------------- */

static void on_text(int socket, const char *data, int size, void *user) {
	(void)socket;
	(void)user;
	demand(size < 0 && strcmp(data, TEXT) == 0, "another text");
	notify(&texts);
}

static void echo(int socket, const char *data, int size, void *user) {
	(void)user;
	CHECK(rtcSendMessage(socket, data, size));
}

static void greet(int socket, void *user) {
	(void)user;
	CHECK(rtcSendMessage(socket, TEXT, -1));
}

static void on_client(int server, int socket, void *user) {
	(void)server;
	(void)user;
	CHECK(rtcSetMessageCallback(socket, echo));
}

static void talk_by_web_socket(bool is_secure) {
	rtcWsServerConfiguration serving;
	rtcWsConfiguration calling;
	char url[64];
	int server, client, before = texts;
	memset(&serving, 0, sizeof serving);
	serving.bindAddress = "127.0.0.1";
	serving.enableTls = is_secure;
	server = CHECK(rtcCreateWebSocketServer(&serving, on_client));
	snprintf(url, sizeof url, "%s://127.0.0.1:%d/", is_secure ? "wss" : "ws",
	         CHECK(rtcGetWebSocketServerPort(server)));
	memset(&calling, 0, sizeof calling);
	calling.disableTlsVerification = true;
	client = CHECK(rtcCreateWebSocketEx(url, &calling));
	CHECK(rtcSetMessageCallback(client, on_text));
	CHECK(rtcSetOpenCallback(client, greet));
	wait_for(&texts, before + 1, "the text did not come back");
	CHECK(rtcDeleteWebSocket(client));
	CHECK(rtcDeleteWebSocketServer(server));
}

int main(void) {
	rtcInitLogger(RTC_LOG_WARNING, NULL);
	send_video();
	talk_by_web_socket(false);
	talk_by_web_socket(true);
	rtcCleanup();
	puts("consumer: ok");
	return 0;
}
