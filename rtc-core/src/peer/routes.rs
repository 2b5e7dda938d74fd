//! Which track a packet belongs to (RFC 9143 §9.2).

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use log::Level;
use rtc_media::rtcp;
use rtc_media::rtp::Packet;
use rtc_media::rtp::extension::{MID, REPAIRED_RID, RID};

use crate::channel::Track;
use crate::notes::note;
use crate::sdp::Media;

/// Streams of either side that are remembered although no description names them.
pub(super) const MAX_LEARNED: usize = 1024;

/// The SSRC of an RTP packet.
pub(super) fn rtp_ssrc(packet: &[u8]) -> Option<u32> {
    packet.get(8..12)?.try_into().map(u32::from_be_bytes).ok()
}

/// Tells the track of an RTP packet by the media identification in its header, else by its SSRC,
/// else by a restriction identifier there (RFC 8852) that only one track has, else by such a
/// payload type. With a single track all packets are its own.
#[derive(Default)]
pub(super) struct Routes {
    /// The tracks of streams that the peer sends.
    theirs: Streams,
    /// The tracks of streams that we send.
    ours: Streams,
    mids: HashMap<Box<[u8]>, Arc<Track>>,
    /// The identifiers of [`MID`].
    mid_extensions: Vec<u8>,
    /// The identifiers of [`RID`] and [`REPAIRED_RID`].
    rid_extensions: Vec<u8>,
    rids: Marks<Box<[u8]>>,
    payload_types: Marks<u8>,
    /// The track that all packets are for.
    only: Option<Arc<Track>>,
}

impl Routes {
    /// Forgets what descriptions said, and what was learned of tracks that are gone. `is_simple`
    /// says that no description has sections for more than one track.
    pub(super) fn reset(&mut self, tracks: &[Arc<Track>], is_simple: bool) {
        self.theirs.reset(tracks);
        self.ours.reset(tracks);
        self.mid_extensions.clear();
        self.rid_extensions.clear();
        self.rids.0.clear();
        self.payload_types.0.clear();
        let mid = |track: &Arc<Track>| (track.mid().as_bytes().into(), Arc::clone(track));
        self.mids = tracks.iter().map(mid).collect();
        self.only = match tracks {
            [only] if is_simple => Some(Arc::clone(only)),
            _ => None,
        };
    }

    /// Notes what we say of a track.
    pub(super) fn add_ours(&mut self, media: &Media, track: &Arc<Track>) {
        for ssrc in media.ssrcs() {
            self.ours.announce(ssrc, track);
        }
        self.add(media, track);
    }

    /// Notes what the peer's description says of a track.
    pub(super) fn add_theirs(&mut self, media: &Media, track: &Arc<Track>) {
        for ssrc in media.ssrcs() {
            self.theirs.announce(ssrc, track);
        }
        self.add(media, track);
    }

    fn add(&mut self, media: &Media, track: &Arc<Track>) {
        for (id, extension) in &media.common.ext_maps {
            let ids = match extension.uri.as_str() {
                MID => &mut self.mid_extensions,
                RID | REPAIRED_RID => &mut self.rid_extensions,
                _ => continue,
            };
            if let Ok(id) = u8::try_from(*id)
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
        for rid in media.rids() {
            self.rids.add(rid.as_bytes().into(), track);
        }
        for payload in &media.payloads {
            self.payload_types.add(payload.payload_type, track);
        }
    }

    /// Notes a stream that we send.
    pub(super) fn note_sent(&mut self, ssrc: u32, track: &Arc<Track>) {
        self.ours.learn(ssrc, track);
    }

    /// The track of an RTP packet, which the rest of its stream belongs to from now on.
    pub(super) fn of_rtp(&mut self, packet: &[u8]) -> Option<Arc<Track>> {
        let ssrc = rtp_ssrc(packet)?;
        let track = match &self.only {
            Some(only) => only,
            None => self.find(ssrc, packet)?,
        };
        let track = Arc::clone(track);
        self.theirs.learn(ssrc, &track);
        Some(track)
    }

    fn find(&self, ssrc: u32, packet: &[u8]) -> Option<&Arc<Track>> {
        let parsed = Packet::parse(packet).ok();
        let extension = |ids: &[u8]| {
            parsed.as_ref().and_then(|packet| ids.iter().find_map(|id| packet.extension(*id)))
        };
        if let Some(mid) = extension(&self.mid_extensions) {
            // Of a section that is not there, the packet is nobody's.
            return self.mids.get(mid);
        }
        let by_rid = || self.rids.only(extension(&self.rid_extensions)?);
        let by_payload_type = || self.payload_types.only(&parsed.as_ref()?.header().payload_type);
        // Senders repeat in their descriptions what the other side is to send, some of them.
        let by_ssrc = self.theirs.track(ssrc).or_else(|| self.ours.announced.get(&ssrc));
        by_ssrc.or_else(by_rid).or_else(by_payload_type)
    }

    /// The tracks that an RTCP packet is about.
    pub(super) fn of_rtcp(&self, packet: &[u8]) -> Vec<Arc<Track>> {
        if let Some(only) = &self.only {
            return vec![Arc::clone(only)];
        }
        let mut tracks: Vec<Arc<Track>> = Vec::new();
        for ssrc in rtcp::ssrcs(packet) {
            for track in [self.theirs.track(ssrc), self.ours.track(ssrc)].into_iter().flatten() {
                if !tracks.iter().any(|known| Arc::ptr_eq(known, track)) {
                    tracks.push(Arc::clone(track));
                }
            }
        }
        tracks
    }
}

/// The tracks of the streams that one side sends.
#[derive(Default)]
struct Streams {
    /// Those that descriptions announce.
    announced: HashMap<u32, Arc<Track>>,
    /// Those that packets told of, with when they last did.
    learned: HashMap<u32, (Arc<Track>, u64)>,
    /// Counts packets.
    time: u64,
    /// It was said that streams are forgotten.
    told: bool,
}

impl Streams {
    fn reset(&mut self, tracks: &[Arc<Track>]) {
        self.announced.clear();
        self.learned.retain(|_, (track, _)| tracks.iter().any(|other| Arc::ptr_eq(other, track)));
    }

    /// Notes what a description says, which goes before what packets told.
    fn announce(&mut self, ssrc: u32, track: &Arc<Track>) {
        self.learned.remove(&ssrc);
        self.announced.insert(ssrc, Arc::clone(track));
    }

    fn track(&self, ssrc: u32) -> Option<&Arc<Track>> {
        let learned = self.learned.get(&ssrc).map(|(track, _)| track);
        learned.or_else(|| self.announced.get(&ssrc))
    }

    /// Notes what a packet told. The stream that was silent for longest goes when there are many.
    fn learn(&mut self, ssrc: u32, track: &Arc<Track>) {
        self.time += 1;
        if let Some((known, last)) = self.learned.get_mut(&ssrc) {
            *last = self.time;
            if !Arc::ptr_eq(known, track) {
                *known = Arc::clone(track);
            }
            return;
        }
        if self.announced.get(&ssrc).is_some_and(|known| Arc::ptr_eq(known, track)) {
            return;
        }
        if self.learned.len() >= MAX_LEARNED {
            self.forget_oldest();
        }
        self.learned.insert(ssrc, (Arc::clone(track), self.time));
    }

    fn forget_oldest(&mut self) {
        let oldest = self.learned.iter().min_by_key(|(_, (_, last))| *last);
        if let Some(ssrc) = oldest.map(|(ssrc, _)| *ssrc) {
            self.learned.remove(&ssrc);
        }
        if !std::mem::replace(&mut self.told, true) {
            note(Level::Info, || {
                format!("more than {MAX_LEARNED} streams that no description names: the oldest go")
            });
        }
    }
}

/// What may tell a track: the tracks that have it.
#[derive(Default)]
struct Marks<K>(HashMap<K, Vec<Arc<Track>>>);

impl<K: Eq + Hash> Marks<K> {
    fn add(&mut self, mark: K, track: &Arc<Track>) {
        let tracks = self.0.entry(mark).or_default();
        if !tracks.iter().any(|known| Arc::ptr_eq(known, track)) {
            tracks.push(track.clone());
        }
    }

    /// The track that alone has it.
    fn only<Q: Eq + Hash + ?Sized>(&self, mark: &Q) -> Option<&Arc<Track>>
    where
        K: Borrow<Q>,
    {
        match self.0.get(mark)?.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}
