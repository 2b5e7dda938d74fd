//! Names, layouts, values and versions: what a program compiled against rtc.h relies on.

use super::Case;
use crate::elf::{self, Exports};
use crate::ffi::*;
use crate::lab::{Lab, library_path};
use crate::outcome::{Rows, lack, skip};
use std::fs;
use std::mem::{align_of, offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("every function of rtc.h is exported", all_exported)
            .fixes("rtcSetThreadPoolSize: newer than 0.23"),
        Case::new("nothing but rtc names is exported", nothing_else)
            .fixes("clean exports: upstream exports its C++ symbols"),
        Case::new("the soname is libdatachannel.so.0.24", soname).fixes("soname: 0.24"),
        Case::new(
            "the library carries no symbol versions, run path or text relocations",
            plain_elf,
        ),
        Case::new("structures have the sizes and offsets of 0.24", layouts),
        Case::new("rtcPacketizerInit has the size and offsets of 0.24", packetizer_layout)
            .fixes("rtcPacketizerInit: grew in 0.24"),
        Case::new("enumerators and macros have their values", values),
        Case::new("the header announces version 0.24.5", version).fixes("version: 0.24.5"),
        Case::new("every exported function has the prototype of 0.24", prototypes),
        Case::new("the deprecated packetization handlers are still there inline", deprecated),
        Case::new("a C and a C++ program compile without warnings, link and run", compile_and_run)
            .limit(180),
        Case::new("a program that never calls rtcCleanup exits cleanly", clean_exit)
            .fixes("B-36")
            .limit(180),
        Case::new("a program with an open connection exits cleanly", connected_exit)
            .fixes("B-36")
            .limit(180),
        Case::new("a program may unload the library and go on using OpenSSL", unload).limit(180),
    ]
}

fn read(_: &Lab) -> Exports {
    let path = library_path().unwrap_or_default();
    let bytes = fs::read(&path).expect("the library's file");
    elf::exports(&bytes).unwrap_or_else(|| skip("not a 64-bit ELF library"))
}

fn required() -> &'static [&'static str] {
    &NAMES[..NAMES.len() - EXTENSIONS]
}

fn all_exported(lab: &Lab) {
    assert_eq!(required().len(), 99);
    let exports = read(lab);
    let mut rows = Rows::new();
    for name in required() {
        rows.holds(name, exports.names.binary_search(&(*name).to_owned()).is_ok());
    }
}

fn nothing_else(lab: &Lab) {
    let exports = read(lab);
    let alien: Vec<_> = exports.names.iter().filter(|name| !name.starts_with("rtc")).collect();
    assert!(alien.is_empty(), "{} other names, such as {:?}", alien.len(), alien.first());
}

fn soname(lab: &Lab) {
    assert_eq!(read(lab).soname.as_deref(), Some("libdatachannel.so.0.24"));
}

fn plain_elf(lab: &Lab) {
    let exports = read(lab);
    assert!(!exports.versioned, "symbol versions keep programs from running on upstream's library");
    assert!(!exports.text_relocations, "text relocations");
    assert!(!exports.rpath, "a run path");
}

/// The directory holding `rtc/rtc.h`.
fn include() -> PathBuf {
    let given = std::env::var_os("RTC_INCLUDE").map(PathBuf::from);
    let beside = || {
        let library = library_path()?;
        Some(library.parent()?.parent()?.join("include"))
    };
    let directory = given.or_else(beside).unwrap_or_default();
    if !directory.join("rtc/rtc.h").exists() {
        lack(&format!("no rtc/rtc.h in {} (RTC_INCLUDE names another place)", directory.display()));
    }
    directory
}

struct Workshop(PathBuf);

impl Workshop {
    fn open() -> Self {
        let directory = std::env::temp_dir().join(format!("conformance-cc-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory to compile in");
        Self(directory)
    }

    /// Compiles and, unless `program` is a mere check, links; returns what the program printed.
    fn run(&self, compiler: &str, source: &str) -> String {
        let name = if compiler.contains("++") { "program.cc" } else { "program.c" };
        let path = self.0.join(name);
        fs::write(&path, source).expect("a source file");
        let library = library_path().unwrap_or_default();
        let program = self.0.join("program");
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations", "-I"]);
        command.arg(include()).arg(&path).arg("-o").arg(&program);
        // One that loads the library itself is not linked with it.
        command.arg("-Wl,--as-needed").arg(&library);
        if let Some(directory) = library.parent() {
            command.arg(format!("-Wl,-rpath,{}", directory.display()));
        }
        finish(command, &path);
        let output = finish(Command::new(&program), &program);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn finish(mut command: Command, what: &Path) -> Output {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => lack(&format!("{:?}: {error}", command.get_program())),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{text}", what.display(), output.status);
    output
}

const PROLOGUE: &str = "#include <rtc/rtc.h>\n#include <stddef.h>\n#include <stdio.h>\n";

/// Lets the compiler print integer expressions and compares them.
fn compare(rows: &mut Rows, expected: &[(String, i64)]) {
    let mut source = format!("{PROLOGUE}int main(void) {{\n");
    for (expression, _) in expected {
        source += &format!("  printf(\"%lld\\n\", (long long)({expression}));\n");
    }
    source += "  return 0;\n}\n";
    let printed = Workshop::open().run("cc", &source);
    let values: Vec<i64> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(values.len(), expected.len(), "one line per expression");
    for ((expression, value), found) in expected.iter().zip(values) {
        rows.equal(expression, found, *value);
    }
}

macro_rules! layout {
    ($c:literal as $raw:ident { $($member:literal = $field:ident),* $(,)? }) => {{
        let mut rows = vec![
            (format!("sizeof({})", $c), size_of::<$raw>() as i64),
            (format!("_Alignof({})", $c), align_of::<$raw>() as i64),
        ];
        $( rows.push((
            format!("offsetof({}, {})", $c, $member),
            offset_of!($raw, $field) as i64,
        )); )*
        rows
    }};
}

fn layouts(_: &Lab) {
    let sizes = [
        size_of::<RawConfiguration>(),
        size_of::<Reliability>(),
        size_of::<RawDataChannelInit>(),
        size_of::<RawTrackInit>(),
        size_of::<RawPacketizerInit>(),
        size_of::<RawSsrcForTypeInit>(),
        size_of::<RawWsConfiguration>(),
        size_of::<RawWsServerConfiguration>(),
        size_of::<SctpSettings>(),
    ];
    assert_eq!(sizes, [56, 12, 32, 56, 64, 32, 48, 48, 48], "the suite's own structures");
    let mut expected = peer_layouts();
    expected.extend(media_layouts());
    expected.extend(socket_layouts());
    compare(&mut Rows::new(), &expected);
}

fn peer_layouts() -> Vec<(String, i64)> {
    let mut rows = layout!("rtcConfiguration" as RawConfiguration {
        "iceServers" = ice_servers,
        "iceServersCount" = ice_servers_count,
        "proxyServer" = proxy_server,
        "bindAddress" = bind_address,
        "certificateType" = certificate_type,
        "iceTransportPolicy" = ice_transport_policy,
        "enableIceTcp" = enable_ice_tcp,
        "enableIceUdpMux" = enable_ice_udp_mux,
        "disableAutoNegotiation" = disable_auto_negotiation,
        "forceMediaTransport" = force_media_transport,
        "portRangeBegin" = port_range_begin,
        "portRangeEnd" = port_range_end,
        "mtu" = mtu,
        "maxMessageSize" = max_message_size,
    });
    rows.extend(layout!("rtcReliability" as Reliability {
        "unordered" = unordered,
        "unreliable" = unreliable,
        "maxPacketLifeTime" = max_packet_life_time,
        "maxRetransmits" = max_retransmits,
    }));
    rows.extend(layout!("rtcDataChannelInit" as RawDataChannelInit {
        "reliability" = reliability,
        "protocol" = protocol,
        "negotiated" = negotiated,
        "manualStream" = manual_stream,
        "stream" = stream,
    }));
    rows.extend(layout!("rtcSctpSettings" as SctpSettings {
        "recvBufferSize" = recv_buffer_size,
        "sendBufferSize" = send_buffer_size,
        "maxChunksOnQueue" = max_chunks_on_queue,
        "initialCongestionWindow" = initial_congestion_window,
        "maxBurst" = max_burst,
        "congestionControlModule" = congestion_control_module,
        "delayedSackTimeMs" = delayed_sack_time_ms,
        "minRetransmitTimeoutMs" = min_retransmit_timeout_ms,
        "maxRetransmitTimeoutMs" = max_retransmit_timeout_ms,
        "initialRetransmitTimeoutMs" = initial_retransmit_timeout_ms,
        "maxRetransmitAttempts" = max_retransmit_attempts,
        "heartbeatIntervalMs" = heartbeat_interval_ms,
    }));
    rows
}

fn media_layouts() -> Vec<(String, i64)> {
    let mut rows = layout!("rtcTrackInit" as RawTrackInit {
        "direction" = direction,
        "codec" = codec,
        "payloadType" = payload_type,
        "ssrc" = ssrc,
        "mid" = mid,
        "name" = name,
        "msid" = msid,
        "trackId" = track_id,
        "profile" = profile,
    });
    rows.extend(layout!("rtcSsrcForTypeInit" as RawSsrcForTypeInit {
        "ssrc" = ssrc,
        "name" = name,
        "msid" = msid,
        "trackId" = track_id,
    }));
    rows
}

fn packetizer_layout(_: &Lab) {
    let expected = layout!("rtcPacketizerInit" as RawPacketizerInit {
        "ssrc" = ssrc,
        "cname" = cname,
        "payloadType" = payload_type,
        "clockRate" = clock_rate,
        "sequenceNumber" = sequence_number,
        "timestamp" = timestamp,
        "maxFragmentSize" = max_fragment_size,
        "nalSeparator" = nal_separator,
        "obuPacketization" = obu_packetization,
        "playoutDelayId" = playout_delay_id,
        "playoutDelayMin" = playout_delay_min,
        "playoutDelayMax" = playout_delay_max,
        "colorSpaceId" = color_space_id,
        "colorChromaSitingHorz" = color_chroma_siting_horz,
        "colorChromaSitingVert" = color_chroma_siting_vert,
        "colorRange" = color_range,
        "colorPrimaries" = color_primaries,
        "colorTransfer" = color_transfer,
        "colorMatrix" = color_matrix,
    });
    compare(&mut Rows::new(), &expected);
}

fn socket_layouts() -> Vec<(String, i64)> {
    let mut rows = layout!("rtcWsConfiguration" as RawWsConfiguration {
        "disableTlsVerification" = disable_tls_verification,
        "proxyServer" = proxy_server,
        "protocols" = protocols,
        "protocolsCount" = protocols_count,
        "connectionTimeoutMs" = connection_timeout_ms,
        "pingIntervalMs" = ping_interval_ms,
        "maxOutstandingPings" = max_outstanding_pings,
        "maxMessageSize" = max_message_size,
    });
    rows.extend(layout!("rtcWsServerConfiguration" as RawWsServerConfiguration {
        "port" = port,
        "enableTls" = enable_tls,
        "certificatePemFile" = certificate_pem_file,
        "keyPemFile" = key_pem_file,
        "keyPemPass" = key_pem_pass,
        "bindAddress" = bind_address,
        "connectionTimeoutMs" = connection_timeout_ms,
        "maxMessageSize" = max_message_size,
    }));
    rows
}

/// Enumerators in groups: the first value and the names counting up from it.
const ENUMERATORS: &[(i64, &str)] = &[
    (0, "RTC_NEW RTC_CONNECTING RTC_CONNECTED RTC_DISCONNECTED RTC_FAILED RTC_CLOSED"),
    (0, "RTC_ICE_NEW RTC_ICE_CHECKING RTC_ICE_CONNECTED RTC_ICE_COMPLETED RTC_ICE_FAILED"),
    (5, "RTC_ICE_DISCONNECTED RTC_ICE_CLOSED"),
    (0, "RTC_GATHERING_NEW RTC_GATHERING_INPROGRESS RTC_GATHERING_COMPLETE"),
    (0, "RTC_SIGNALING_STABLE RTC_SIGNALING_HAVE_LOCAL_OFFER RTC_SIGNALING_HAVE_REMOTE_OFFER"),
    (3, "RTC_SIGNALING_HAVE_LOCAL_PRANSWER RTC_SIGNALING_HAVE_REMOTE_PRANSWER"),
    (0, "RTC_LOG_NONE RTC_LOG_FATAL RTC_LOG_ERROR RTC_LOG_WARNING RTC_LOG_INFO RTC_LOG_DEBUG"),
    (6, "RTC_LOG_VERBOSE"),
    (0, "RTC_CERTIFICATE_DEFAULT RTC_CERTIFICATE_ECDSA RTC_CERTIFICATE_RSA"),
    (0, "RTC_CODEC_H264 RTC_CODEC_VP8 RTC_CODEC_VP9 RTC_CODEC_H265 RTC_CODEC_AV1"),
    (128, "RTC_CODEC_OPUS RTC_CODEC_PCMU RTC_CODEC_PCMA RTC_CODEC_AAC RTC_CODEC_G722"),
    (0, "RTC_DIRECTION_UNKNOWN RTC_DIRECTION_SENDONLY RTC_DIRECTION_RECVONLY"),
    (3, "RTC_DIRECTION_SENDRECV RTC_DIRECTION_INACTIVE"),
    (0, "RTC_TRANSPORT_POLICY_ALL RTC_TRANSPORT_POLICY_RELAY"),
    (0, "RTC_OBU_PACKETIZED_OBU RTC_OBU_PACKETIZED_TEMPORAL_UNIT"),
    (0, "RTC_NAL_SEPARATOR_LENGTH RTC_NAL_SEPARATOR_LONG_START_SEQUENCE"),
    (2, "RTC_NAL_SEPARATOR_SHORT_START_SEQUENCE RTC_NAL_SEPARATOR_START_SEQUENCE"),
];

fn values(_: &Lab) {
    let mut expected = Vec::new();
    for (first, names) in ENUMERATORS {
        let counted = names.split(' ').zip(*first..);
        expected.extend(counted.map(|(name, value)| (name.to_owned(), value)));
    }
    let enums = "rtcState rtcIceState rtcGatheringState rtcSignalingState rtcLogLevel \
                 rtcCertificateType rtcCodec rtcDirection rtcTransportPolicy rtcObuPacketization \
                 rtcNalUnitSeparator";
    expected.extend(enums.split_whitespace().map(|name| (format!("sizeof({name})"), 4)));
    let macros = [
        ("RTC_ERR_SUCCESS", 0),
        ("RTC_ERR_INVALID", -1),
        ("RTC_ERR_FAILURE", -2),
        ("RTC_ERR_NOT_AVAIL", -3),
        ("RTC_ERR_TOO_SMALL", -4),
        ("RTC_DEFAULT_MTU", 1280),
        ("RTC_DEFAULT_MAX_FRAGMENT_SIZE", 1220),
        ("RTC_DEFAULT_MAX_STORED_PACKET_COUNT", 512),
        ("RTC_DEFAULT_MAXIMUM_FRAGMENT_SIZE", 1220),
        ("RTC_DEFAULT_MAXIMUM_PACKET_COUNT_FOR_NACK_CACHE", 512),
        ("RTC_ENABLE_MEDIA", 1),
        ("RTC_ENABLE_WEBSOCKET", 1),
    ];
    expected.extend(macros.map(|(name, value)| (name.to_owned(), value)));
    compare(&mut Rows::new(), &expected);
}

fn version(_: &Lab) {
    let source = format!(
        "{PROLOGUE}int main(void) {{ printf(\"%d.%d.%d %s\", RTC_VERSION_MAJOR, \
         RTC_VERSION_MINOR, RTC_VERSION_PATCH, RTC_VERSION); return 0; }}\n"
    );
    assert_eq!(Workshop::open().run("cc", &source), "0.24.5 0.24.5");
}

fn prototypes(lab: &Lab) {
    let exports = read(lab);
    let mut source = format!("{PROLOGUE}int main(void) {{\n");
    let mut present = 0;
    for (index, line) in PROTOTYPES.lines().enumerate() {
        let (name, function) = line.split_once(": ").expect("a name and a type");
        if exports.names.binary_search(&name.to_owned()).is_err() {
            continue;
        }
        present += 1;
        let (result, arguments) = function.split_once(" (").expect("a result and arguments");
        source += &format!("  {result} (*f{index})({arguments} = &{name};\n");
        source += &format!("  printf(\"%d\\n\", f{index} != 0);\n");
    }
    source += "  return 0;\n}\n";
    assert_eq!(PROTOTYPES.lines().count(), 99);
    let printed = Workshop::open().run("cc", &source);
    assert_eq!(printed.lines().filter(|line| *line == "1").count(), present);
}

const PROTOTYPES: &str = include_str!("prototypes.txt");

fn deprecated(_: &Lab) {
    let names = ["H264", "H265", "AV1", "Opus", "AAC"];
    // A library without media may say that it has none.
    let check = "  if (r != RTC_ERR_INVALID && r != RTC_ERR_NOT_AVAIL) return 1;\n";
    let calls: String = names
        .map(|name| format!("  r = rtcSet{name}PacketizationHandler(99, &init);\n{check}"))
        .concat();
    let source = format!(
        "{PROLOGUE}int main(void) {{\n  int r;\n  rtcPacketizationHandlerInit init = {{0}};\n  \
         init.cname = \"x\";\n{calls}  return 0;\n}}\n"
    );
    Workshop::open().run("cc", &source);
}

fn compile_and_run(_: &Lab) {
    let body = "int main(void) {\n  rtcConfiguration config;\n  memset(&config, 0, sizeof config);\n  \
                int pc = rtcCreatePeerConnection(&config);\n  int dc = rtcCreateDataChannel(pc, \
                \"x\");\n  printf(\"%d %d %d %d\\n\", pc, dc, rtcDeleteDataChannel(dc), \
                rtcDeletePeerConnection(pc));\n  rtcCleanup();\n  return 0;\n}\n";
    let source = format!("{PROLOGUE}#include <string.h>\n{body}");
    let workshop = Workshop::open();
    assert_eq!(workshop.run("cc", &source), "1 2 0 0\n");
    assert_eq!(workshop.run("c++", &source), "1 2 0 0\n");
}

fn clean_exit(_: &Lab) {
    let body = "int main(void) {\n  rtcConfiguration config;\n  memset(&config, 0, sizeof config);\n  \
                int i, pc = 0;\n  for (i = 0; i < 8; i++) {\n    pc = \
                rtcCreatePeerConnection(&config);\n    if (rtcCreateDataChannel(pc, \"x\") < 0) \
                return 1;\n    if (i % 2) rtcDeletePeerConnection(pc);\n  }\n  return 0;\n}\n";
    let source = format!("{PROLOGUE}#include <string.h>\n{body}");
    let workshop = Workshop::open();
    workshop.run("cc", &source);
    for _ in 0..20 {
        finish(Command::new(workshop.0.join("program")), &workshop.0);
    }
}

/// Two peers in one program, which ends as soon as their channel is open.
const CONNECTED: &str = r#"
#include <string.h>
#include <unistd.h>
static int a, b;
static volatile int opened;
static void on_description(int pc, const char *sdp, const char *type, void *p) {
    (void)p;
    rtcSetRemoteDescription(pc == a ? b : a, sdp, type);
}
static void on_candidate(int pc, const char *cand, const char *mid, void *p) {
    (void)p;
    rtcAddRemoteCandidate(pc == a ? b : a, cand, mid);
}
static void on_open(int id, void *p) {
    (void)id;
    (void)p;
    opened = 1;
}
int main(void) {
    rtcConfiguration config;
    int i, ids[2], dc;
    memset(&config, 0, sizeof config);
    config.bindAddress = "127.0.0.1";
    ids[0] = a = rtcCreatePeerConnection(&config);
    ids[1] = b = rtcCreatePeerConnection(&config);
    for (i = 0; i < 2; i++) {
        rtcSetLocalDescriptionCallback(ids[i], on_description);
        rtcSetLocalCandidateCallback(ids[i], on_candidate);
    }
    dc = rtcCreateDataChannel(a, "x");
    rtcSetOpenCallback(dc, on_open);
    for (i = 0; i < 3000 && !opened; i++) usleep(10000);
    for (i = 0; i < 50; i++) rtcSendMessage(dc, "on the way out", -1);
    return opened ? 0 : 1;
}
"#;

fn connected_exit(_: &Lab) {
    let workshop = Workshop::open();
    workshop.run("cc", &format!("{PROLOGUE}{CONNECTED}"));
    for _ in 0..15 {
        finish(Command::new(workshop.0.join("program")), &workshop.0);
    }
}

/// The same on a thread of its own, with a library that is loaded before and unloaded after.
const UNLOAD: &str = r#"
static void *connect_on_a_thread(void *p) {
    (void)p;
    if (connect_both() == 0) opened = 2;
    rtcDeletePeerConnection(a);
    rtcDeletePeerConnection(b);
    rtcCleanup();
    usleep(500000);
    return NULL;
}
int main(void) {
    void *ssl, *context, *connection;
    pthread_t thread;
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library || pthread_create(&thread, NULL, connect_on_a_thread, NULL)) return 1;
    pthread_join(thread, NULL);
    ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_NOLOAD);
    dlclose(library);
    if (opened != 2) return 2;
    if (!ssl) {
        puts("no OpenSSL");
        return 0;
    }
    context = OF_OPENSSL(SSL_CTX_new, void *)(OF_OPENSSL(TLS_method, void)());
    connection = OF_OPENSSL(SSL_new, void *)(context);
    OF_OPENSSL(SSL_free, void *)(connection);
    OF_OPENSSL(SSL_CTX_free, void *)(context);
    return 0;
}
"#;

fn unload(_: &Lab) {
    let names = "rtcCreatePeerConnection rtcSetLocalDescriptionCallback rtcCreateDataChannel \
                 rtcSetLocalCandidateCallback rtcSetRemoteDescription rtcAddRemoteCandidate \
                 rtcSetOpenCallback rtcSendMessage rtcDeletePeerConnection rtcCleanup";
    let mut source = format!(
        "#define _GNU_SOURCE\n{PROLOGUE}#include <dlfcn.h>\n#include <pthread.h>\n\
         static void *library;\n#define LIBRARY \"{}\"\n\
         #define FUNCTION(name) ((__typeof__(&name))dlsym(library, #name))\n\
         #define OF_OPENSSL(name, type) ((void *(*)(type))dlsym(ssl, #name))\n",
        library_path().unwrap_or_default().display()
    );
    for name in names.split_whitespace() {
        source += &format!("#define {name} FUNCTION({name})\n");
    }
    source += &CONNECTED.replace("int main(void)", "static int connect_both(void)");
    let printed = Workshop::open().run("cc", &(source + UNLOAD));
    if printed.contains("no OpenSSL") {
        skip("the library does not use the system's OpenSSL");
    }
}
