//! Reading and bending session descriptions.

/// A plain data-channel offer nobody stands behind.
pub(crate) const OFFER: &str = "v=0\r\n\
    o=- 7 1 IN IP4 127.0.0.1\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=group:BUNDLE 0\r\n\
    a=fingerprint:sha-256 01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:\
    01:23:45:67:89:AB:CD:EF\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:0\r\n\
    a=sendrecv\r\n\
    a=sctp-port:5000\r\n\
    a=max-message-size:262144\r\n\
    a=setup:actpass\r\n\
    a=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789abcdefghijkl\r\n";

/// A media section to put before or after others.
pub(crate) const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:audio\r\n\
    a=sendrecv\r\n\
    a=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=setup:actpass\r\n\
    a=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789abcdefghijkl\r\n";

/// The lines without their ends.
pub(crate) fn lines(sdp: &str) -> Vec<&str> {
    sdp.lines().collect()
}

/// The value of the first `a=name:value` line.
pub(crate) fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    attributes(sdp, name).into_iter().next()
}

/// The values of all `a=name:value` lines.
pub(crate) fn attributes<'a>(sdp: &'a str, name: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':');
    sdp.lines().filter_map(value).collect()
}

/// Whether the flag `a=name` is there.
pub(crate) fn flag(sdp: &str, name: &str) -> bool {
    sdp.lines().any(|line| line.strip_prefix("a=") == Some(name))
}

/// The session part followed by one text per media section.
pub(crate) fn sections(sdp: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(String::new());
        }
        if let Some(section) = sections.last_mut() {
            *section += line;
            *section += "\r\n";
        }
    }
    sections
}

/// Replaces every line beginning with `prefix` by `line`; an empty `line` removes it.
pub(crate) fn replaced(sdp: &str, prefix: &str, line: &str) -> String {
    let mut text = String::new();
    for old in sdp.lines() {
        let new = if old.starts_with(prefix) { line } else { old };
        if !new.is_empty() {
            text += new;
            text += "\r\n";
        }
    }
    text
}

/// Removes every line beginning with `prefix`.
pub(crate) fn without(sdp: &str, prefix: &str) -> String {
    replaced(sdp, prefix, "")
}

/// The `o=` line's session id and version.
pub(crate) fn origin(sdp: &str) -> Option<(u64, u64)> {
    let line = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    let mut words = line.split(' ').skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_read_and_bent() {
        assert_eq!(attribute(OFFER, "mid"), Some("0"));
        assert_eq!(attribute(OFFER, "setup"), Some("actpass"));
        assert!(flag(OFFER, "sendrecv") && !flag(OFFER, "ice-lite"));
        assert_eq!(origin(OFFER), Some((7, 1)));
        assert_eq!(sections(OFFER).len(), 2);
        assert_eq!(sections(OFFER).concat(), OFFER);
        assert_eq!(attribute(&without(OFFER, "a=mid"), "mid"), None);
        assert_eq!(attribute(&replaced(OFFER, "a=mid", "a=mid:x"), "mid"), Some("x"));
    }
}
