//! The peer core's tracks: negotiation, opening and closing, packets in and out.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use log::Level;
use rtc_media::rtp::is_rtcp;
use rtc_media::{Now, Output, Request, rtcp};

use super::core::PeerCore;
use super::interceptor::Interceptor;
use super::media::MAX_PACKET;
use super::routes::rtp_ssrc;
use crate::backend::dtls::SrtpProfile;
use crate::channel::{Channel as _, Track, news};
use crate::error::{Error, Result};
use crate::notes::note;
use crate::sdp::{Description, Media, Section};
use crate::state::SignalingState;

/// The shortest RTP packet is a header, the shortest RTCP packet a receiver report without blocks.
const MIN_RTP: usize = 12;
const MIN_RTCP: usize = 8;

impl PeerCore {
    // Queries.

    pub(crate) fn tracks(&self) -> Vec<Arc<Track>> {
        self.tracks.clone()
    }

    /// The sections of our tracks for a description.
    pub(super) fn track_sections(&self) -> Vec<Media> {
        self.tracks.iter().map(|track| track.section()).collect()
    }

    /// True when a local description would say something else of our tracks than the last one.
    pub(super) fn has_track_news(&self) -> bool {
        self.tracks.iter().any(|track| {
            let described = section_of(track, self.local.as_ref()).is_some();
            match track.is_closed() {
                true => described,
                false => !described || track.is_changed(),
            }
        })
    }

    // Commands.

    /// Adds a track, or describes the one of that mid anew.
    pub(crate) fn add_track(&mut self, media: Media) -> Result<Arc<Track>> {
        self.require_alive("add a track")?;
        let mid = media.common.mid.as_str();
        if mid.is_empty() {
            return Err(Error::invalid("a track must have a mid"));
        }
        let known = self.tracks.iter().position(|track| track.mid() == mid);
        if let Some(track) = known.and_then(|at| self.tracks.get(at))
            && !track.is_closed()
        {
            let track = track.clone();
            track.describe(media);
            self.offered_tracks.retain(|offered| !Arc::ptr_eq(offered, &track));
            self.route_tracks();
            return Ok(track);
        }
        if let Some(at) = known {
            self.tracks.remove(at);
        }
        let track = Track::new(self.peer.clone(), media, self.config.mtu);
        self.tracks.push(track.clone());
        self.route_tracks();
        Ok(track)
    }

    /// Closes a track; false when it was closed already.
    pub(crate) fn close_track(&mut self, track: &Track) -> bool {
        let closed_now = track.mark_closed();
        if closed_now {
            self.route_tracks();
        }
        closed_now
    }

    /// Sends a frame where the track has a packetizer, otherwise one RTP or RTCP packet.
    pub(crate) fn send_media(
        &mut self,
        now: Instant,
        track: &Arc<Track>,
        data: Bytes,
    ) -> Result<()> {
        if track.is_closed() {
            return Err(Error::failure("cannot send: the track is closed"));
        }
        let (is_plain, is_packet) =
            track.with_chain(|chain| (chain.is_empty(), chain.config().is_none()));
        let is_control = is_packet && is_rtcp(&data);
        if !is_control && !track.may_send() {
            self.media.dropped += 1;
            return Ok(());
        }
        if !track.is_open() {
            return Err(Error::failure("cannot send: the track is not open"));
        }
        if is_packet {
            let least = if is_control { MIN_RTCP } else { MIN_RTP };
            if data.len() < least || data.len() > MAX_PACKET {
                let size = data.len();
                return Err(Error::failure(format!("{size} bytes are no RTP or RTCP packet")));
            }
        }
        if is_plain {
            return self.send_packet(track, &data);
        }
        let mut output = Output::default();
        let now = system_time(now);
        track.with_chain(|chain| chain.outgoing(now, vec![data.into()], &mut output));
        self.carry_out_media(track, output);
        Ok(())
    }

    fn send_packet(&mut self, track: &Arc<Track>, packet: &[u8]) -> Result<()> {
        if let Some(ssrc) = rtp_ssrc(packet)
            && !is_rtcp(packet)
        {
            self.media.routes.note_sent(ssrc, track);
        }
        self.media.send(packet, track.is_audio())
    }

    /// Sends what a chain made, and tells what it found.
    fn carry_out_media(&mut self, track: &Arc<Track>, output: Output) {
        for packet in output.packets {
            if packet.len() > MAX_PACKET || self.send_packet(track, &packet).is_err() {
                self.media.dropped += 1;
            }
        }
        self.media.dropped += output.dropped;
        for event in output.events {
            if track.push_event(event) {
                self.ring(track);
            }
        }
    }

    /// Asks the peer for something, if a handler of the track can.
    pub(crate) fn request_media(
        &mut self,
        now: Instant,
        track: &Arc<Track>,
        request: Request,
    ) -> Result<()> {
        let has_handlers = track.with_chain(|chain| !chain.is_empty());
        if !has_handlers || (request == Request::Keyframe && !track.is_video()) {
            return Ok(());
        }
        if !track.is_open() {
            return Err(Error::failure("cannot ask the peer: the track is not open"));
        }
        let mut output = Output::default();
        track.with_chain(|chain| chain.request(system_time(now), request, &mut output));
        self.carry_out_media(track, output);
        Ok(())
    }

    /// Tracks that the peer added since this was last asked.
    pub(crate) fn take_incoming_tracks(&mut self) -> Vec<Arc<Track>> {
        std::mem::take(&mut self.incoming_tracks)
    }

    // Negotiation.

    /// Makes tracks for the sections of an offer that are not ours.
    pub(super) fn add_offered_tracks(&mut self, offer: &Description) {
        for media in offer.media().filter(|media| !media.common.removed) {
            let mid = media.common.mid.as_str();
            if self.tracks.iter().any(|track| track.mid() == mid) {
                continue;
            }
            let track = Track::new(self.peer.clone(), media.reciprocate(), self.config.mtu);
            self.tracks.push(track.clone());
            self.offered_tracks.push(track.clone());
            self.incoming_tracks.push(track);
        }
    }

    /// Closes the tracks that exist only because of an offer that is taken back.
    pub(super) fn close_offered_tracks(&mut self) {
        let offered = std::mem::take(&mut self.offered_tracks);
        self.tracks.retain(|track| !offered.iter().any(|other| Arc::ptr_eq(other, track)));
        for track in offered {
            self.announce_track_closed(&track);
        }
        self.route_tracks();
    }

    /// Notes that our tracks are in the local description.
    pub(super) fn mark_tracks_described(&self) {
        let Some(local) = &self.local else { return };
        for track in &self.tracks {
            if local.section(track.mid()).is_some() {
                track.mark_described();
            }
        }
    }

    /// Opens, closes and limits tracks as the descriptions say.
    pub(super) fn apply_to_tracks(&mut self) {
        let (Some(local), Some(remote)) = (&self.local, &self.remote) else { return };
        let stable = self.signaling == SignalingState::Stable;
        let mut removed = Vec::new();
        for track in &self.tracks {
            let theirs = remote.section(track.mid());
            if theirs.is_some_and(Section::is_removed) {
                removed.push(track.clone());
            } else if let Some(theirs) = theirs.filter(|_| stable) {
                track.limit_to(theirs.common().direction.reversed());
            }
        }
        if stable {
            let gone = |track: &Track, side: &Description| section_of(track, Some(side)).is_none();
            self.tracks
                .retain(|track| !(track.is_closed() && gone(track, local) && gone(track, remote)));
        }
        for track in removed {
            self.announce_track_closed(&track);
        }
        self.route_tracks();
        self.open_tracks();
    }

    /// Opens the tracks that both sides have, once there is a media transport.
    fn open_tracks(&mut self) {
        let (Some(local), Some(remote)) = (&self.local, &self.remote) else { return };
        if !self.dtls_connected || self.signaling != SignalingState::Stable {
            return;
        }
        let is_used = |track: &Track, side: &Description| section_of(track, Some(side)).is_some();
        let tracks: Vec<_> = self
            .tracks
            .iter()
            .filter(|track| is_used(track, local) && is_used(track, remote))
            .cloned()
            .collect();
        for track in tracks {
            if self.media.is_ready() {
                if track.mark_open() {
                    self.ring(&track);
                }
            } else if !track.is_closed() && track.mark_stranded() {
                track.port.add_error("The connection has no media transport".to_owned());
                self.ring(&track);
            }
        }
    }

    /// Learns anew which packets belong to which track. A closed track keeps its own until the
    /// peer has agreed to its removal: they are not for any other.
    fn route_tracks(&mut self) {
        let Self { local, remote, tracks, media, .. } = self;
        let is_known = |track: &&Arc<Track>| {
            section_of(track, local.as_ref()).is_some()
                || section_of(track, remote.as_ref()).is_some()
        };
        let is_simple = |side: &Option<Description>| {
            side.as_ref().is_none_or(|description| description.media().count() <= 1)
        };
        let known: Vec<_> = tracks.iter().filter(is_known).cloned().collect();
        media.routes.reset(&known, is_simple(local) && is_simple(remote));
        for track in &known {
            media.routes.add_ours(&track.description(), track);
            if let Some(Section::Media(theirs)) = section_of(track, remote.as_ref()) {
                media.routes.add_theirs(theirs, track);
            }
        }
    }

    fn announce_track_closed(&mut self, track: &Arc<Track>) {
        if track.mark_closed() {
            track.port.add_news(news::CLOSED);
            self.ring(track);
        }
    }

    /// Closes all tracks, because the connection ends.
    pub(super) fn close_tracks(&mut self) {
        for track in std::mem::take(&mut self.tracks) {
            self.announce_track_closed(&track);
        }
        self.media.routes.reset(&[], false);
    }

    // Transport.

    /// Takes the keys of a handshake into use.
    pub(super) fn start_media(&mut self, profile: Option<SrtpProfile>) {
        let (Some(dtls), Some(role), Some(profile)) = (&self.dtls, self.dtls_role, profile) else {
            return;
        };
        match self.media.start(&**dtls, role, profile) {
            Ok(()) => note(Level::Info, || format!("media transport: {profile:?}")),
            Err(error) => note(Level::Error, || format!("no media transport: {error}")),
        }
    }

    /// Takes an SRTP or SRTCP datagram.
    pub(super) fn handle_media(&mut self, now: Instant, datagram: &mut [u8]) {
        let packet = self.media.open(datagram).and_then(|length| datagram.get(..length));
        let Some(packet) = packet else {
            self.dropped_datagrams += 1;
            return;
        };
        if !self.interceptor.is_active() {
            return self.deliver_media(now, packet);
        }
        let interceptor = self.interceptor.clone();
        match interceptor.push(packet) {
            true => self.ring(&interceptor),
            false => self.media.dropped += 1,
        }
    }

    pub(super) fn interceptor(&self) -> &Interceptor {
        &self.interceptor
    }

    /// Gives a packet to the tracks it belongs to.
    pub(super) fn deliver_media(&mut self, now: Instant, packet: &[u8]) {
        let mut tracks = match is_rtcp(packet) {
            true => self.media.routes.of_rtcp(packet),
            false => {
                let track = self.media.routes.of_rtp(packet);
                track.filter(|track| track.may_receive()).into_iter().collect()
            }
        };
        tracks.retain(|track| !track.is_closed());
        if tracks.is_empty() {
            self.media.dropped += 1;
            return;
        }
        let data = Bytes::copy_from_slice(packet);
        for track in tracks {
            if is_rtcp(packet) {
                note_reports(&track, packet);
            }
            self.receive_media(now, &track, data.clone());
        }
    }

    fn receive_media(&mut self, now: Instant, track: &Arc<Track>, data: Bytes) {
        if track.with_chain(|chain| chain.is_empty()) {
            return self.queue_media(track, [data.into()]);
        }
        let mut batch = vec![rtc_media::Message::from(data)];
        let mut output = Output::default();
        let now = system_time(now);
        track.with_chain(|chain| chain.incoming(now, &mut batch, &mut output));
        self.carry_out_media(track, output);
        self.queue_media(track, batch);
    }

    fn queue_media(
        &mut self,
        track: &Arc<Track>,
        batch: impl IntoIterator<Item = rtc_media::Message>,
    ) {
        for message in batch {
            match track.push_message(message) {
                true => self.ring(track),
                false => self.media.dropped += 1,
            }
        }
    }

    /// When a track has something to do.
    pub(super) fn media_deadline(&self) -> Option<Instant> {
        let deadline = |track: &Arc<Track>| track.with_chain(|chain| chain.poll_timeout());
        self.tracks.iter().filter_map(deadline).min()
    }

    pub(super) fn handle_media_timeout(&mut self, now: Instant) {
        let is_due = |track: &&Arc<Track>| {
            track.with_chain(|chain| chain.poll_timeout()).is_some_and(|deadline| deadline <= now)
        };
        let due: Vec<_> = self.tracks.iter().filter(is_due).cloned().collect();
        for track in due {
            let (mut batch, mut output) = (Vec::new(), Output::default());
            let now = system_time(now);
            track.with_chain(|chain| chain.handle_timeout(now, &mut batch, &mut output));
            self.carry_out_media(&track, output);
            self.queue_media(&track, batch);
        }
    }
}

/// The section in which a description has a track.
fn section_of<'a>(track: &Track, description: Option<&'a Description>) -> Option<&'a Section> {
    description?.section(track.mid()).filter(|section| !section.is_removed())
}

/// The time as chains want it. The wall clock goes into sender reports only.
fn system_time(instant: Instant) -> Now {
    Now { instant, wall: SystemTime::now() }
}

/// Notes the times of the sender reports in an RTCP packet.
fn note_reports(track: &Track, packet: &[u8]) {
    for part in rtcp::compound(packet).flatten() {
        if let rtcp::Packet::SenderReport(report) = part {
            track.note_report(report.rtp_timestamp, report.ntp.0);
        }
    }
}
