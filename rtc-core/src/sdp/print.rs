//! [`Description`] to text: one fixed order of lines, each ended by CRLF.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;

use super::{Application, Common, Description, Media, Payload, Section};
use crate::candidate::{Candidate, CandidateKind, Transport};

impl Description {
    /// The text of the description.
    pub fn to_sdp(&self) -> String {
        self.to_string()
    }

    /// Where media would go without ICE (RFC 8839 §4.2.1.2): the best UDP host candidate, IPv4
    /// before IPv6.
    fn default_destination(&self) -> Destination {
        let hosts = self.candidates.iter().filter_map(|candidate| {
            let is_usable = candidate.kind == CandidateKind::Host
                && candidate.transport == Transport::Udp
                && candidate.port != 0;
            let address: IpAddr = candidate.host.parse().ok().filter(|_| is_usable)?;
            Some((candidate, address))
        });
        let best = hosts.max_by_key(|(candidate, address)| (address.is_ipv4(), candidate.priority));
        match best {
            Some((Candidate { port, .. }, address)) => Destination { address, port: *port },
            None => Destination::default(),
        }
    }

    fn group(&self, f: &mut fmt::Formatter<'_>, name: &str, media_only: bool) -> fmt::Result {
        let mut is_empty = true;
        for section in &self.sections {
            let is_member = !media_only || matches!(section, Section::Media(_));
            if section.is_removed() || !is_member {
                continue;
            }
            if std::mem::take(&mut is_empty) {
                write!(f, "a=group:{name}")?;
            }
            write!(f, " {}", section.mid())?;
        }
        if is_empty { Ok(()) } else { f.write_str("\r\n") }
    }

    fn transport(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a=setup:{}\r\n", self.setup)?;
        if let Some(ufrag) = &self.ice_ufrag {
            write!(f, "a=ice-ufrag:{ufrag}\r\n")?;
        }
        if let Some(pwd) = &self.ice_pwd {
            write!(f, "a=ice-pwd:{pwd}\r\n")?;
        }
        Ok(())
    }

    fn candidates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.end_of_candidates {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        Ok(())
    }
}

impl Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(
            f,
            "v=0\r\no={} {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            origin.user_name, origin.id, origin.version
        )?;
        self.group(f, "BUNDLE", false)?;
        self.group(f, "LS", true)?;
        f.write_str("a=msid-semantic:WMS *\r\n")?;
        if !self.ice_options.is_empty() {
            write!(f, "a=ice-options:{}\r\n", self.ice_options.join(" "))?;
        }
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, "a=fingerprint:{fingerprint}\r\n")?;
        }
        for attribute in &self.session_attributes {
            write!(f, "a={attribute}\r\n")?;
        }
        let destination = self.default_destination();
        let carrier = self.sections.iter().position(|section| !section.is_removed());
        for (index, section) in self.sections.iter().enumerate() {
            section.write(f, &destination)?;
            self.transport(f)?;
            if carrier == Some(index) {
                self.candidates(f)?;
            }
        }
        Ok(())
    }
}

/// Where media goes: `c=` and the port of the m-line.
struct Destination {
    address: IpAddr,
    port: u16,
}

impl Default for Destination {
    /// What stands for "not yet known" (RFC 8840 §4.1.1).
    fn default() -> Self {
        Self { address: IpAddr::from([0; 4]), port: 9 }
    }
}

impl Section {
    fn write(&self, out: &mut dyn Write, destination: &Destination) -> fmt::Result {
        match self {
            Self::Application(application) => application.write(out, destination),
            Self::Media(media) => media.write(out, destination),
        }
    }
}

/// Prints the section without what concerns the transport.
impl Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &Destination::default())
    }
}

impl Common {
    fn port(&self, destination: &Destination) -> u16 {
        if self.removed { 0 } else { destination.port }
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "a=mid:{}\r\n", self.mid)?;
        for (id, ext_map) in &self.ext_maps {
            write!(out, "a=extmap:{id}")?;
            if let Some(direction) = ext_map.direction.as_str() {
                write!(out, "/{direction}")?;
            }
            write!(out, " {}", ext_map.uri)?;
            if !ext_map.parameters.is_empty() {
                write!(out, " {}", ext_map.parameters)?;
            }
            out.write_str("\r\n")?;
        }
        if let Some(direction) = self.direction.as_str() {
            write!(out, "a={direction}\r\n")?;
        }
        for attribute in &self.attributes {
            write!(out, "a={attribute}\r\n")?;
        }
        Ok(())
    }
}

fn connection(out: &mut dyn Write, address: IpAddr) -> fmt::Result {
    let version = if address.is_ipv4() { 4 } else { 6 };
    write!(out, "c=IN IP{version} {address}\r\n")
}

impl Application {
    fn write(&self, out: &mut dyn Write, destination: &Destination) -> fmt::Result {
        let port = self.common.port(destination);
        write!(out, "m=application {port} {} {}\r\n", self.protocol, self.format)?;
        connection(out, destination.address)?;
        self.common.write(out)?;
        if let Some(port) = self.sctp_port.filter(|_| !self.is_legacy()) {
            write!(out, "a=sctp-port:{port}\r\n")?;
        }
        if let Some(size) = self.max_message_size {
            write!(out, "a=max-message-size:{size}\r\n")?;
        }
        Ok(())
    }
}

impl Media {
    fn write(&self, out: &mut dyn Write, destination: &Destination) -> fmt::Result {
        let port = self.common.port(destination);
        write!(out, "m={} {port} {}", self.kind, self.protocol)?;
        for payload in &self.payloads {
            write!(out, " {}", payload.payload_type)?;
        }
        if !self.other_formats.is_empty() {
            write!(out, " {}", self.other_formats)?;
        }
        out.write_str("\r\n")?;
        connection(out, destination.address)?;
        if let Some(bandwidth) = self.bandwidth {
            write!(out, "b=AS:{bandwidth}\r\n")?;
        }
        self.common.write(out)?;
        if self.is_rtp() {
            out.write_str("a=rtcp-mux\r\n")?;
        }
        for feedback in &self.feedback {
            write!(out, "a=rtcp-fb:* {feedback}\r\n")?;
        }
        let mut payloads: Vec<&Payload> = self.payloads.iter().collect();
        payloads.sort_by_key(|payload| payload.payload_type);
        for payload in payloads {
            payload.write(out)?;
        }
        Ok(())
    }
}

impl Payload {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let payload_type = self.payload_type;
        if let Some(map) = &self.rtp_map {
            write!(out, "a=rtpmap:{payload_type} {}/{}", map.name, map.clock_rate)?;
            if let Some(parameters) = &map.parameters {
                write!(out, "/{parameters}")?;
            }
            out.write_str("\r\n")?;
        }
        for feedback in &self.feedback {
            write!(out, "a=rtcp-fb:{payload_type} {feedback}\r\n")?;
        }
        for fmtp in &self.fmtp {
            write!(out, "a=fmtp:{payload_type} {fmtp}\r\n")?;
        }
        Ok(())
    }
}
