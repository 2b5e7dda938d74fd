//! Text to [`Description`].

use std::collections::HashSet;
use std::str::FromStr;

use super::{
    Application, Common, Description, DescriptionKind, Direction, ExtMap, Fingerprint,
    MAX_ICE_OPTIONS, MAX_SECTIONS, MAX_TEXT, Media, Origin, Payload, RtpMap, Section, Setup,
};
use crate::candidate::Candidate;
use crate::error::{Error, Result};

impl Description {
    /// Parses a description. Lines may end in LF, CRLF or CR; unknown lines are ignored and
    /// unknown attributes kept; `v=`, `o=`, `s=` and `t=` may be missing.
    ///
    /// Fails with [`crate::ErrorKind::InvalidArgument`] when a line that matters is malformed or a
    /// bound is exceeded. Whether the description suffices for a connection is another question:
    /// [`Self::validate_remote`].
    pub fn parse(text: &str, kind: DescriptionKind) -> Result<Self> {
        let mut parser =
            Parser { description: Self { kind, ..Self::default() }, ..Parser::default() };
        for line in lines(text)? {
            parser.line(line)?;
        }
        Ok(parser.finish())
    }
}

impl Media {
    /// Parses one m-section by itself: first the m-line, with or without `m=`, then its
    /// attributes. It needs a media type, a protocol and a mid.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = lines(text)?;
        let first = lines.next().unwrap_or("");
        let value = first.strip_prefix("m=").unwrap_or(first);
        let m_line = MLine::parse(first, value)?;
        if m_line.is_sctp() {
            return Err(invalid("media type: data channels are no track", first));
        }
        let mut media = Self::from_m_line(&m_line)?;
        let mut has_mid = false;
        for line in lines {
            match line.split_once('=') {
                Some(("a", value)) => {
                    let attribute = Attribute::new(line, value);
                    has_mid |= attribute.name == "mid" && !attribute.value.is_empty();
                    if !Transport::is_named(attribute.name) {
                        media.attribute(&attribute)?;
                    }
                }
                Some(("b", value)) => media.bandwidth(line, value)?,
                _ => {}
            }
        }
        if !has_mid {
            return Err(Error::invalid(format!("There is no a=mid for {}", quoted(first))));
        }
        Ok(media)
    }
}

/// The lines of `text` that are not empty, without blanks at their ends.
fn lines(text: &str) -> Result<impl Iterator<Item = &str>> {
    if text.len() > MAX_TEXT {
        return Err(Error::invalid(format!(
            "The description has {} bytes, more than {MAX_TEXT}",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(Error::invalid("The description contains a NUL character"));
    }
    let lines = text.split(['\r', '\n']).map(|line| line.trim_end_matches([' ', '\t']));
    Ok(lines.filter(|line| !line.is_empty()))
}

/// `text` as it may stand in a message: in quotes, escaped, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start:?}…"),
        None => format!("{text:?}"),
    }
}

/// The number that `text` is; `line` is where it stands.
fn number<T: FromStr>(what: &str, text: &str, line: &str) -> Result<T> {
    text.parse().map_err(|_| invalid(what, line))
}

fn invalid(what: &str, line: &str) -> Error {
    Error::invalid(format!("Invalid {what} in the description line {}", quoted(line)))
}

/// An attribute line in parts.
struct Attribute<'a> {
    /// The whole line, for messages.
    line: &'a str,
    /// What follows `a=`.
    text: &'a str,
    /// What precedes the colon.
    name: &'a str,
    /// What follows the colon; empty without one.
    value: &'a str,
}

impl<'a> Attribute<'a> {
    fn new(line: &'a str, text: &'a str) -> Self {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        Self { line, text, name, value }
    }

    fn invalid(&self, what: &str) -> Error {
        invalid(what, self.line)
    }
}

/// An m-line in parts.
struct MLine<'a> {
    line: &'a str,
    kind: &'a str,
    port: u16,
    protocol: &'a str,
    formats: std::str::SplitAsciiWhitespace<'a>,
}

impl<'a> MLine<'a> {
    fn parse(line: &'a str, value: &'a str) -> Result<Self> {
        let mut words = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(invalid("m-line: it needs a media type, a port and a protocol", line));
        };
        let port = port.split_once('/').map_or(port, |(port, _count)| port);
        Ok(Self { line, kind, port: number("port", port, line)?, protocol, formats: words })
    }

    /// True for data channels.
    fn is_sctp(&self) -> bool {
        self.kind == "application" && self.protocol.split('/').any(|part| part == "SCTP")
    }

    fn common(&self) -> Common {
        Common { removed: self.port == 0, ..Common::default() }
    }
}

#[derive(Default)]
struct Parser {
    description: Description,
    /// What makes candidates duplicates: foundation, host and port of those that are there.
    known_candidates: HashSet<(String, String, u16)>,
    /// The session's direction, for sections that have none (RFC 8866 §6.7).
    direction: Direction,
    /// The transport attributes of the session level.
    session: Transport,
    /// Those of each section.
    transports: Vec<Transport>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<()> {
        match line.split_once('=') {
            Some(("m", value)) => self.section(line, value),
            Some(("a", value)) => self.attribute(&Attribute::new(line, value)),
            Some(("b", value)) => match self.description.sections.last_mut() {
                Some(Section::Media(media)) => media.bandwidth(line, value),
                _ => Ok(()),
            },
            Some(("o", value)) => {
                self.description.origin = origin(value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn section(&mut self, line: &str, value: &str) -> Result<()> {
        let index = self.description.sections.len();
        if index >= MAX_SECTIONS {
            return Err(invalid(&format!("m-line: it is beyond the {MAX_SECTIONS}th"), line));
        }
        let m_line = MLine::parse(line, value)?;
        let mut section = if m_line.is_sctp() {
            Section::Application(Application {
                common: m_line.common(),
                protocol: m_line.protocol.into(),
                format: m_line.formats.clone().next().unwrap_or("webrtc-datachannel").into(),
                sctp_port: None,
                max_message_size: None,
            })
        } else {
            Section::Media(Media::from_m_line(&m_line)?)
        };
        let common = section.common_mut();
        common.mid = index.to_string();
        common.direction = self.direction;
        self.description.sections.push(section);
        self.transports.push(Transport::default());
        Ok(())
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<()> {
        if attribute.name == "candidate" {
            return self.candidate(Candidate::parse(attribute.text)?);
        }
        let transport = self.transports.last_mut().unwrap_or(&mut self.session);
        if transport.attribute(attribute, &mut self.description)? {
            return Ok(());
        }
        match self.description.sections.last_mut() {
            Some(Section::Application(application)) => application.attribute(attribute),
            Some(Section::Media(media)) => media.attribute(attribute),
            None => {
                if let Some(direction) = Direction::from_text(attribute.text) {
                    self.direction = direction;
                }
                self.description.session_attributes.push(attribute.text.into());
                Ok(())
            }
        }
    }

    /// Adds a candidate unless it is a duplicate. There may be very many duplicates, so that each
    /// cannot be compared with all others.
    fn candidate(&mut self, candidate: Candidate) -> Result<()> {
        let key = (candidate.foundation.clone(), candidate.host.clone(), candidate.port);
        if !self.known_candidates.contains(&key) {
            self.description.push_candidate(candidate)?;
            self.known_candidates.insert(key);
        }
        Ok(())
    }

    fn finish(mut self) -> Description {
        for section in &mut self.description.sections {
            if let Section::Application(application) = section {
                application.finish();
            }
        }
        self.settle_transport();
        self.description
    }

    /// Chooses among the transport attributes of the session and its sections. What the section
    /// that carries the bundle says goes first, then the session, then the other sections.
    fn settle_transport(&mut self) {
        let sections = &self.description.sections;
        let carrier = sections.iter().position(|section| !section.is_removed()).unwrap_or(0);
        let setup = self
            .transports
            .iter()
            .zip(sections)
            .filter(|(_, section)| !section.is_removed())
            .filter_map(|(transport, _)| transport.setup)
            .next_back()
            .or(self.session.setup)
            .or_else(|| self.transports.iter().filter_map(|transport| transport.setup).next_back());
        self.description.setup = setup.unwrap_or_default();

        let carrier = self.transports.get_mut(carrier).map(std::mem::take);
        let others = std::mem::take(&mut self.transports);
        let session = std::mem::take(&mut self.session);
        for transport in carrier.into_iter().chain([session]).chain(others) {
            let description = &mut self.description;
            description.ice_ufrag = description.ice_ufrag.take().or(transport.ufrag);
            description.ice_pwd = description.ice_pwd.take().or(transport.pwd);
            description.fingerprint = description.fingerprint.take().or(transport.fingerprint);
        }
    }
}

/// The transport attributes of the session or of one section.
#[derive(Default)]
struct Transport {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprint: Option<Fingerprint>,
    setup: Option<Setup>,
}

impl Transport {
    /// True for attributes that concern the transport or the session, wherever they stand.
    fn is_named(name: &str) -> bool {
        matches!(
            name,
            "candidate"
                | "end-of-candidates"
                | "fingerprint"
                | "group"
                | "ice-lite"
                | "ice-options"
                | "ice-pwd"
                | "ice-ufrag"
                | "msid-semantic"
                | "setup"
        )
    }

    /// Takes such an attribute; false when it is another one. Groups and `msid-semantic` are
    /// generated when printing, so nothing is kept of them.
    fn attribute(&mut self, a: &Attribute<'_>, description: &mut Description) -> Result<bool> {
        match a.name {
            "end-of-candidates" => description.end_of_candidates = true,
            "fingerprint" => {
                if self.fingerprint.is_none() {
                    self.fingerprint = Fingerprint::parse(a.value)?;
                }
            }
            "ice-lite" => description.ice_lite = true,
            "ice-options" => {
                for option in a.value.split([' ', ',']).filter(|option| !option.is_empty()) {
                    let options = &mut description.ice_options;
                    if options.len() < MAX_ICE_OPTIONS && !options.iter().any(|o| o == option) {
                        options.push(option.into());
                    }
                }
            }
            "ice-pwd" => set_first(&mut self.pwd, a.value),
            "ice-ufrag" => set_first(&mut self.ufrag, a.value),
            "setup" => self.setup = Some(Setup::from_text(a.value)),
            name => return Ok(Self::is_named(name)),
        }
        Ok(true)
    }
}

fn set_first(target: &mut Option<String>, value: &str) {
    let value = value.trim_start();
    if target.is_none() && !value.is_empty() {
        *target = Some(value.into());
    }
}

fn origin(value: &str) -> Origin {
    let mut words = value.split_ascii_whitespace();
    let user_name = words.next().unwrap_or("-").to_owned();
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    Origin { user_name, id: number(), version: number() }
}

impl Common {
    /// Takes an attribute that all sections share; false when it is another one.
    fn attribute(&mut self, a: &Attribute<'_>) -> Result<bool> {
        match a.name {
            "mid" => {
                if a.value.contains(char::is_whitespace) {
                    return Err(a.invalid("mid"));
                }
                if !a.value.is_empty() {
                    self.mid = a.value.into();
                }
            }
            "extmap" => self.ext_map(a)?,
            "bundle-only" => self.removed = false,
            // Implied; nothing else is offered (RFC 8834, RFC 8858).
            "rtcp-mux" | "rtcp-mux-only" => {}
            _ => match Direction::from_text(a.text) {
                Some(direction) => self.direction = direction,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn ext_map(&mut self, a: &Attribute<'_>) -> Result<()> {
        let what = "header extension";
        let (id, rest) = a.value.split_once(' ').ok_or_else(|| a.invalid(what))?;
        let (id, direction) = match id.split_once('/') {
            Some((id, text)) => {
                (id, Direction::from_text(text).ok_or_else(|| a.invalid("direction"))?)
            }
            None => (id, Direction::Unknown),
        };
        let rest = rest.trim_start_matches(' ');
        let (uri, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
        if uri.is_empty() {
            return Err(a.invalid(what));
        }
        self.ext_maps.entry(number("header extension id", id, a.line)?).or_insert(ExtMap {
            direction,
            uri: uri.into(),
            parameters: parameters.into(),
        });
        Ok(())
    }
}

impl Application {
    fn attribute(&mut self, a: &Attribute<'_>) -> Result<()> {
        match a.name {
            "sctp-port" => {
                let port = number("SCTP port", a.value, a.line)?;
                if !self.is_legacy() {
                    self.sctp_port = Some(port);
                }
            }
            "sctpmap" => {
                let port = a.value.split_once(' ').map_or(a.value, |(port, _)| port);
                let port = number("SCTP port", port, a.line)?;
                if self.is_legacy() {
                    self.sctp_port = Some(port);
                }
                self.common.attributes.push(a.text.into());
            }
            "max-message-size" => {
                if a.value.is_empty() || !a.value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(a.invalid("maximum message size"));
                }
                // More than fits is as good as no limit.
                self.max_message_size = Some(a.value.parse().unwrap_or(0));
            }
            _ => {
                if !self.common.attribute(a)? {
                    self.common.attributes.push(a.text.into());
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.common.direction = Direction::SendRecv;
        if self.is_legacy() && self.sctp_port.is_none() {
            self.sctp_port = self.format.parse().ok();
        }
        if self.sctp_port == Some(0) {
            // The peer wants no association (RFC 8841 §5).
            self.sctp_port = None;
            self.common.removed = true;
        }
    }
}

impl Media {
    fn from_m_line(m_line: &MLine<'_>) -> Result<Self> {
        let mut media = Self {
            common: m_line.common(),
            kind: m_line.kind.into(),
            protocol: m_line.protocol.into(),
            ..Self::default()
        };
        let formats = m_line.formats.clone();
        if !media.is_rtp() {
            media.other_formats = formats.collect::<Vec<_>>().join(" ");
            return Ok(media);
        }
        for format in formats {
            let payload_type = payload_type(format, m_line.line)?;
            if media.payload(payload_type).is_none() {
                media.payloads.push(Payload { payload_type, ..Payload::default() });
            }
        }
        Ok(media)
    }

    fn payload(&mut self, payload_type: u8) -> Option<&mut Payload> {
        self.payloads.iter_mut().find(|payload| payload.payload_type == payload_type)
    }

    fn attribute(&mut self, a: &Attribute<'_>) -> Result<()> {
        match a.name {
            "rtpmap" | "fmtp" | "rtcp-fb" if self.is_rtp() => self.payload_attribute(a),
            "ssrc" => {
                let ssrc = a.value.split_once(' ').map_or(a.value, |(ssrc, _)| ssrc);
                number::<u32>("SSRC", ssrc, a.line)?;
                self.common.attributes.push(a.text.into());
                Ok(())
            }
            _ => {
                if !self.common.attribute(a)? {
                    self.common.attributes.push(a.text.into());
                }
                Ok(())
            }
        }
    }

    /// Takes an attribute of a payload type; one that the m-line does not list is ignored
    /// (RFC 8866 §6.6).
    fn payload_attribute(&mut self, a: &Attribute<'_>) -> Result<()> {
        let (number, value) = a.value.split_once(' ').unwrap_or((a.value, ""));
        let value = value.trim_start();
        if value.is_empty() && a.name != "rtpmap" {
            payload_type(number, a.line)?;
            return Ok(());
        }
        if number == "*" && a.name == "rtcp-fb" {
            self.feedback.push(value.into());
            return Ok(());
        }
        let payload_type = payload_type(number, a.line)?;
        if a.name == "rtpmap" {
            let map = RtpMap::parse(value).map_err(|_| a.invalid("codec"))?;
            if let Some(payload) = self.payload(payload_type) {
                payload.rtp_map = Some(map);
            }
        } else if let Some(payload) = self.payload(payload_type) {
            let list = if a.name == "fmtp" { &mut payload.fmtp } else { &mut payload.feedback };
            list.push(value.into());
        }
        Ok(())
    }

    fn bandwidth(&mut self, line: &str, value: &str) -> Result<()> {
        if let Some(bandwidth) = value.strip_prefix("AS:") {
            self.bandwidth = Some(number("bandwidth", bandwidth, line)?);
        }
        Ok(())
    }
}

fn payload_type(text: &str, line: &str) -> Result<u8> {
    match number("payload type", text, line)? {
        payload_type @ 0..=127 => Ok(payload_type),
        _ => Err(invalid("payload type", line)),
    }
}
