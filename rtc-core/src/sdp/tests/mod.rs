mod accept;
mod generate;
mod mirror;
mod property;

use super::*;
use crate::backend::ice::IceParameters;
use crate::candidate::Candidate;

const FINGERPRINT: &str = "11:86:A2:B3:C4:D5:E6:F7:08:19:2A:3B:4C:5D:6E:7F:\
                           80:91:A2:B3:C4:D5:E6:F7:08:19:2A:3B:4C:5D:6E:9A";

fn fingerprint() -> Fingerprint {
    Fingerprint::from_hex(HashAlgorithm::Sha256, FINGERPRINT).unwrap()
}

fn ice() -> IceParameters {
    IceParameters {
        ufrag: "KUFV".into(),
        pwd: "+ZpLa80TeA2e2hC6OmEHrM".into(),
        lite: false,
        options: vec!["ice2".into(), "trickle".into()],
    }
}

/// Owns what [`compose::Ingredients`] borrows.
struct Side {
    kind: DescriptionKind,
    remote: Option<Description>,
    previous: Option<Description>,
    tracks: Vec<Media>,
    has_data_channel: bool,
    setup: Setup,
    candidates: Vec<Candidate>,
    sctp_init: Option<&'static str>,
}

impl Side {
    fn offering() -> Self {
        Self {
            kind: DescriptionKind::Offer,
            remote: None,
            previous: None,
            tracks: Vec::new(),
            has_data_channel: false,
            setup: Setup::ActPass,
            candidates: Vec::new(),
            sctp_init: None,
        }
    }

    fn answering(offer: &str) -> Self {
        let remote = Description::parse(offer, DescriptionKind::Offer).unwrap();
        Self {
            kind: DescriptionKind::Answer,
            remote: Some(remote),
            setup: Setup::Active,
            ..Self::offering()
        }
    }

    fn compose(&self) -> Description {
        compose(&compose::Ingredients {
            kind: self.kind,
            remote: self.remote.as_ref(),
            previous: self.previous.as_ref(),
            tracks: &self.tracks.iter().collect::<Vec<_>>(),
            has_data_channel: self.has_data_channel,
            ice: &ice(),
            fingerprint: &fingerprint(),
            setup: self.setup,
            max_message_size: 262_144,
            sctp_init: self.sctp_init,
            session_id: 3_369_710_578,
            candidates: &self.candidates,
            end_of_candidates: !self.candidates.is_empty(),
        })
    }
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn data_offer() -> String {
    crlf(&format!(
        "v=0
o=rtc 3369710578 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
a=ice-options:ice2 trickle
a=fingerprint:sha-256 {FINGERPRINT}
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:262144
a=setup:actpass
a=ice-ufrag:KUFV
a=ice-pwd:+ZpLa80TeA2e2hC6OmEHrM
"
    ))
}

/// The seeds of the fuzz target, which look like what the usual implementations send.
fn samples() -> Vec<(String, String)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/sdp");
    let mut samples: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    samples.sort();
    assert!(samples.len() >= 9);
    samples
}

fn sample(name: &str) -> String {
    samples().into_iter().find(|(known, _)| known == name).unwrap().1
}

fn parse_offer(text: &str) -> Description {
    Description::parse(text, DescriptionKind::Offer).unwrap()
}

/// Parses one media section.
fn media(text: &str) -> Media {
    Media::parse(text).unwrap()
}
