//! Taking packets apart and handing their chunks on (RFC 9260 §8.5, §8.4, §3.2).

use super::Association;
use crate::State;
use crate::clock::Nanos;
use crate::wire::{Chunk, Packet, PacketWriter, cause, checksum_matches, kind};

/// Causes kept until they can be sent; a flood of unknown chunks gets no more than this.
const MAX_ERRORS: usize = 4;
/// Heartbeats kept until they are answered.
const MAX_ECHOES: usize = 4;

impl Association {
    /// Returns false when the packet, or a part of it, was not accepted.
    pub(super) fn receive_packet(&mut self, now: Nanos, bytes: &[u8]) -> bool {
        let Some(packet) = Packet::parse(bytes) else { return false };
        if (packet.destination_port, packet.source_port) != self.ports() {
            return false;
        }
        let unchecked = packet.checksum == 0 && self.accepts_zero_checksum;
        if !unchecked && !checksum_matches(bytes, packet.checksum) {
            return false;
        }
        let Some(first) = packet.chunks().next() else { return false };
        let tag = packet.verification_tag;
        // INIT stands alone and has no tag (RFC 9260 §6.10, §8.5.1).
        if first.kind == kind::INIT {
            let stands_alone = packet.chunks().nth(1).is_none();
            return match Chunk::parse(&first) {
                Some(Chunk::Init(init)) if tag == 0 && stands_alone => {
                    self.receive_init(now, &init)
                }
                _ => false,
            };
        }
        if first.kind == kind::COOKIE_ECHO {
            let Some(Chunk::CookieEcho(cookie)) = Chunk::parse(&first) else { return false };
            return self.receive_cookie_echo(now, tag, cookie)
                && self.receive_chunks(now, &packet, 1);
        }
        if !self.accepts_tag(&first, tag) {
            self.reply_out_of_the_blue(&packet);
            return false;
        }
        self.receive_chunks(now, &packet, 0)
    }

    /// RFC 9260 §8.5.1: ABORT and SHUTDOWN-COMPLETE may reflect the tag of the peer.
    fn accepts_tag(&self, first: &crate::wire::RawChunk<'_>, tag: u32) -> bool {
        if self.over || self.state == State::Closed {
            return false;
        }
        match Chunk::parse(first) {
            Some(
                Chunk::Abort { reflected: true, .. } | Chunk::ShutdownComplete { reflected: true },
            ) => tag == self.peer_tag && self.peer_tag != 0,
            _ => tag == self.local_tag,
        }
    }

    /// RFC 9260 §8.4: with no association any more, tells a peer that still believes in one.
    fn reply_out_of_the_blue(&mut self, packet: &Packet<'_>) {
        let quiet = |kind: u8| {
            matches!(
                kind,
                kind::ABORT
                    | kind::SHUTDOWN_COMPLETE
                    | kind::COOKIE_ACK
                    | kind::ERROR
                    | kind::INIT_ACK
            )
        };
        let from_peer = packet.verification_tag == self.local_tag;
        if !self.over || !from_peer || packet.chunks().any(|chunk| quiet(chunk.kind)) {
            return;
        }
        let ending = packet.chunks().any(|chunk| chunk.kind == kind::SHUTDOWN_ACK);
        let kind = if ending { kind::SHUTDOWN_COMPLETE } else { kind::ABORT };
        let mut buffer = vec![0; 16];
        let tag = packet.verification_tag;
        if let Some(mut reply) = PacketWriter::new(&mut buffer, self.ports(), tag) {
            reply.put(kind, 1, &[]);
            reply.finish(false);
            self.reply(buffer);
        }
    }

    /// Handles the chunks of a packet with the right tag, but for the first `skip`.
    fn receive_chunks(&mut self, now: Nanos, packet: &Packet<'_>, skip: usize) -> bool {
        let mut has_data = false;
        let mut intact = true;
        for raw in packet.chunks().skip(skip) {
            let Some(chunk) = Chunk::parse(&raw) else {
                intact = false;
                break;
            };
            if let Chunk::Data(data) = &chunk {
                self.believe_established(now);
                has_data |= self.receive_data(data);
                continue;
            }
            if !self.receive_control(now, &chunk) {
                break;
            }
        }
        if has_data {
            self.note_data_packet(now);
        }
        intact
    }

    /// Handles a chunk other than DATA; false to leave the rest of the packet alone.
    fn receive_control(&mut self, now: Nanos, chunk: &Chunk<'_>) -> bool {
        match chunk {
            Chunk::Sack(sack) => {
                self.believe_established(now);
                self.receive_sack(now, sack);
            }
            Chunk::ForwardTsn(forward) => self.receive_forward_tsn(forward),
            Chunk::Reconfig(value) => self.receive_reconfig(now, value),
            Chunk::InitAck(init) => {
                self.receive_init_ack(now, init);
                return false;
            }
            Chunk::CookieAck => self.receive_cookie_ack(now),
            Chunk::Heartbeat(info) => {
                if self.is_connected() && self.pending.echoes.len() < MAX_ECHOES {
                    self.pending.echoes.push_back(info.to_vec());
                }
            }
            Chunk::HeartbeatAck(info) => self.receive_heartbeat_ack(now, info),
            Chunk::Abort { causes, .. } => {
                self.receive_abort(causes);
                return false;
            }
            Chunk::Shutdown { cumulative } => self.receive_shutdown(now, *cumulative),
            Chunk::ShutdownAck => self.receive_shutdown_ack(),
            Chunk::ShutdownComplete { .. } => self.receive_shutdown_complete(),
            Chunk::Error(causes) => self.receive_error(now, causes),
            // Both may only come first, and were handled there.
            Chunk::Init(_) | Chunk::CookieEcho(_) => return false,
            Chunk::Unknown { kind, whole } => return self.receive_unknown(*kind, whole),
            Chunk::Data(_) => {}
        }
        true
    }

    /// A peer that sends DATA or SACK has got our COOKIE-ECHO: its COOKIE-ACK was lost. Waiting
    /// for T1 instead would cost a second.
    fn believe_established(&mut self, now: Nanos) {
        if self.state == State::CookieEchoed {
            self.establish(now);
        }
    }

    /// RFC 9260 §3.2: the two highest bits of an unknown type say what to do.
    fn receive_unknown(&mut self, kind: u8, whole: &[u8]) -> bool {
        if kind & 0x40 != 0 {
            self.report_error(cause::UNRECOGNIZED_CHUNK, whole);
        }
        kind & 0x80 != 0
    }

    pub(super) fn report_error(&mut self, cause: u16, value: &[u8]) {
        if self.is_connected() && self.pending.errors.len() < MAX_ERRORS {
            let limit = self.mtu / 2;
            let value = value.get(..limit).unwrap_or(value).to_vec();
            self.pending.errors.push_back((cause, value));
        }
    }
}
