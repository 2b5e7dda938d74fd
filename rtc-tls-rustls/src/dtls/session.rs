//! One DTLS connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtc_core::backend::dtls::{
    Aead, DtlsConfig, DtlsConnected, DtlsEvent, DtlsRole, DtlsSession, RecordOverhead,
};
use rtc_core::{Error, Result};

use super::alert::{self, Alert, Received};
use super::client::Client;
use super::flight::{Flight, Outbound};
use super::handshake::{Context, Fault, Handshake, Step};
use super::reassembly::{Pushed, Reassembler};
use super::record::{self, Header, Opener, TAG};
use super::server::Server;
use super::suite::Secrets;
use crate::certificate::certified_key;

/// How long a handshake may take, from the ClientHello.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a handshake may go on without progress once the peer seems to have given up. Anybody
/// can forge an unprotected alert, so it does not end a handshake that goes on regardless.
const PATIENCE_AFTER_ALERT: Duration = Duration::from_millis(500);
/// Protected records that are kept until there are keys, and payloads until the handshake is
/// complete: how many, and their bytes altogether.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 128 * 1024;
/// Most bytes that RFC 5705 keying material may have here.
const MAX_EXPORT: usize = 4096;

/// Where the connection stands.
enum Phase {
    Handshaking(Box<Handshaking>),
    Connected,
    /// Closed by us or the peer, or failed.
    Ended,
}

/// What only a handshake needs.
struct Handshaking {
    context: Context,
    handshake: Handshake,
    reassembler: Reassembler,
    /// When to give up.
    deadline: Option<Instant>,
    /// The deadline before an unprotected alert came, with the alert.
    doubted: Option<(Option<Instant>, u8)>,
    /// What was dropped last, for the report when nothing better came.
    last_dropped: Option<&'static str>,
}

/// Bounded storage for what came early.
#[derive(Default)]
struct Kept {
    items: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, item: &[u8]) {
        if self.items.len() < MAX_KEPT && self.bytes + item.len() <= MAX_KEPT_BYTES {
            self.bytes += item.len();
            self.items.push_back(item.to_vec());
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len();
        Some(item)
    }
}

/// A DTLS connection.
pub(crate) struct Session {
    phase: Phase,
    flight: Flight,
    outbound: Outbound,
    opener: Option<Opener>,
    /// Kept for [`DtlsSession::export_keying_material`].
    secrets: Option<Secrets>,
    /// Protected records from before there were keys.
    early_records: Kept,
    /// Payloads from before the handshake was complete.
    early_data: Kept,
    datagrams: VecDeque<Vec<u8>>,
    events: VecDeque<DtlsEvent>,
    close_notify_sent: bool,
    close_notify_received: bool,
}

impl Session {
    pub(crate) fn new(config: DtlsConfig, now: Instant) -> Result<Self> {
        let certified = certified_key(&config.certificate)?;
        let mut context = Context::new(config.role, certified, config.srtp_profiles)?;
        let handshake = match config.role {
            DtlsRole::Client => Handshake::Client(Client::start(&mut context)),
            DtlsRole::Server => Handshake::Server(Server::new()),
        };
        let mut flight = Flight::new(config.mtu);
        let (mut outbound, mut datagrams) = (Outbound::default(), VecDeque::new());
        let mut deadline = None;
        if config.role == DtlsRole::Client {
            let items = std::mem::take(&mut context.flight);
            flight.start(items, true, now, &mut outbound, &mut datagrams);
            deadline = Some(now + PATIENCE);
        }
        Ok(Self {
            phase: Phase::Handshaking(Box::new(Handshaking {
                context,
                handshake,
                reassembler: Reassembler::default(),
                deadline,
                doubted: None,
                last_dropped: None,
            })),
            flight,
            outbound,
            opener: None,
            secrets: None,
            early_records: Kept::default(),
            early_data: Kept::default(),
            datagrams,
            events: VecDeque::new(),
            close_notify_sent: false,
            close_notify_received: false,
        })
    }

    fn handle_record(
        &mut self,
        now: Instant,
        header: &Header,
        record: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        match header.epoch {
            0 => {
                let content = &record[record::HEADER..];
                match header.kind {
                    record::HANDSHAKE => self.handle_handshake(now, 0, content),
                    record::ALERT => {
                        self.handle_unprotected_alert(now, content);
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
            1 => {
                let Some(opener) = &mut self.opener else {
                    self.early_records.push(record);
                    return Ok(());
                };
                match opener.open(header, &mut record[record::HEADER..]) {
                    Some(content) => self.handle_protected(now, header.kind, content, data),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn handle_protected(
        &mut self,
        now: Instant,
        kind: u8,
        content: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        match kind {
            record::APPLICATION_DATA => {
                match self.phase {
                    Phase::Handshaking(_) => self.early_data.push(content),
                    Phase::Connected => {
                        self.hand_over_early_data(data);
                        data(content);
                    }
                    Phase::Ended => {}
                }
                Ok(())
            }
            record::HANDSHAKE => match self.phase {
                Phase::Handshaking(_) => self.handle_handshake(now, 1, content),
                Phase::Connected => {
                    self.handle_late_handshake(now, content);
                    Ok(())
                }
                Phase::Ended => Ok(()),
            },
            record::ALERT => self.handle_alert(content),
            _ => Ok(()),
        }
    }

    /// Handshake messages of an established connection: the peer repeats its last flight since
    /// it has not seen ours, or it wants to renegotiate.
    fn handle_late_handshake(&mut self, now: Instant, content: &[u8]) {
        if content.first() == Some(&super::messages::FINISHED) {
            self.flight.repeat_for_peer(now, &mut self.outbound, &mut self.datagrams);
        } else if self.datagrams.is_empty() {
            self.queue_alert(Alert::NoRenegotiation);
        }
    }

    fn handle_unprotected_alert(&mut self, now: Instant, content: &[u8]) {
        let Phase::Handshaking(handshaking) = &mut self.phase else { return };
        let description = match Received::read(content) {
            Received::Fatal(description) => description,
            Received::CloseNotify => 0,
            Received::Other => return,
        };
        if handshaking.doubted.is_none() {
            handshaking.doubted = Some((handshaking.deadline, description));
            let sooner = now + PATIENCE_AFTER_ALERT;
            handshaking.deadline = Some(handshaking.deadline.map_or(sooner, |d| d.min(sooner)));
        }
    }

    fn handle_alert(&mut self, content: &[u8]) -> Result<()> {
        match Received::read(content) {
            Received::CloseNotify => {
                if !self.close_notify_received {
                    self.close_notify_received = true;
                    self.events.push_back(DtlsEvent::CloseNotify);
                    self.end();
                }
                Ok(())
            }
            Received::Fatal(description) => {
                if matches!(self.phase, Phase::Ended) {
                    return Ok(());
                }
                self.phase = Phase::Ended;
                Err(Error::failure(format!(
                    "DTLS connection failed: the peer sent the alert {} ({description})",
                    alert::name(description)
                )))
            }
            Received::Other => Ok(()),
        }
    }

    /// Sends close_notify once and takes no more data.
    fn end(&mut self) {
        if !self.close_notify_sent {
            self.close_notify_sent = true;
            self.queue_alert(Alert::CloseNotify);
        }
        self.phase = Phase::Ended;
    }

    fn queue_alert(&mut self, alert: Alert) {
        // During the handshake it is unknown whether the peer has the keys already, and whether
        // it still believes what is unprotected: it gets both.
        self.queue_alert_as(alert, matches!(self.phase, Phase::Handshaking(_)));
    }

    fn queue_alert_as(&mut self, alert: Alert, unprotected_too: bool) {
        let mut datagram = Vec::new();
        let content = alert.encode();
        if unprotected_too {
            self.outbound.push(&mut datagram, record::ALERT, 0, [&content, &[]]);
        }
        if self.outbound.sealer.is_some() {
            self.outbound.push(&mut datagram, record::ALERT, 1, [&content, &[]]);
        }
        if !datagram.is_empty() {
            self.datagrams.push_back(datagram);
        }
    }

    fn handle_handshake(&mut self, now: Instant, epoch: u16, content: &[u8]) -> Result<()> {
        let Phase::Handshaking(handshaking) = &mut self.phase else { return Ok(()) };
        if handshaking.reassembler.push(epoch, content) == Pushed::RepeatsLast {
            self.flight.repeat_for_peer(now, &mut self.outbound, &mut self.datagrams);
        }
        loop {
            let Phase::Handshaking(handshaking) = &mut self.phase else { return Ok(()) };
            let Some(message) = handshaking.reassembler.next() else { return Ok(()) };
            match handshaking.handshake.handle(&mut handshaking.context, message) {
                Ok(step) => {
                    handshaking.reassembler.advance();
                    self.follow(now, step)?;
                }
                Err(Fault::Ignored(reason)) => {
                    handshaking.last_dropped = Some(reason);
                    handshaking.reassembler.discard();
                    return Ok(());
                }
                Err(Fault::Fatal(alert, error)) => {
                    self.datagrams.clear();
                    self.queue_alert(alert);
                    self.phase = Phase::Ended;
                    return Err(error);
                }
            }
        }
    }

    /// Does what an accepted message asks for.
    fn follow(&mut self, now: Instant, step: Step) -> Result<()> {
        let Phase::Handshaking(handshaking) = &mut self.phase else { return Ok(()) };
        if let Some((deadline, _)) = handshaking.doubted.take() {
            handshaking.deadline = deadline;
        }
        let context = &mut handshaking.context;
        if let (None, Some(secrets)) = (&self.opener, &context.secrets) {
            let (sealer, opener) = secrets.record_keys(context.role)?;
            self.outbound.sealer = Some(sealer);
            self.opener = Some(opener);
        }
        if context.peer_is_proven
            && let Some(certificate) = context.peer_certificate.take()
        {
            self.events.push_back(DtlsEvent::PeerCertificate(certificate));
        }
        if step == Step::Continue {
            return Ok(());
        }
        self.flight.answered(now);
        let awaited = step == Step::Send;
        let items = std::mem::take(&mut context.flight);
        handshaking.deadline.get_or_insert(now + PATIENCE);
        // A client has no last flight: it must not answer a server that repeats its own.
        self.flight.start(items, awaited, now, &mut self.outbound, &mut self.datagrams);
        if step == Step::Complete {
            self.complete();
        }
        Ok(())
    }

    fn complete(&mut self) {
        let Phase::Handshaking(handshaking) = &mut self.phase else { return };
        let context = &mut handshaking.context;
        let Some(secrets) = context.secrets.take() else { return };
        self.events.push_back(DtlsEvent::Connected(DtlsConnected {
            version: "DTLS 1.2",
            cipher_suite: secrets.suite().name.to_owned(),
            srtp_profile: context.srtp_profile,
        }));
        self.secrets = Some(secrets);
        self.phase = Phase::Connected;
    }

    fn hand_over_early_data(&mut self, data: &mut dyn FnMut(&mut [u8])) {
        while let Some(mut early) = self.early_data.pop() {
            data(&mut early);
        }
    }

    /// Opens the records that came before there were keys.
    fn handle_early_records(
        &mut self,
        now: Instant,
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        if self.opener.is_none() {
            return Ok(());
        }
        while let Some(mut record) = self.early_records.pop() {
            if let Some(header) = Header::read(&record) {
                self.handle_record(now, &header, &mut record, data)?;
            }
        }
        Ok(())
    }
}

impl DtlsSession for Session {
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        let mut rest = datagram;
        while let Some(header) = Header::read(rest) {
            let (record, following) = rest.split_at_mut(record::HEADER + header.length);
            self.handle_record(now, &header, record, data)?;
            rest = following;
        }
        self.handle_early_records(now, data)?;
        if matches!(self.phase, Phase::Connected) {
            self.hand_over_early_data(data);
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let Phase::Handshaking(handshaking) = &self.phase else { return Ok(()) };
        if handshaking.deadline.is_some_and(|deadline| now >= deadline) {
            let why = match (handshaking.doubted, handshaking.last_dropped) {
                (Some((_, description)), _) => {
                    format!("the peer sent the alert {} ({description})", alert::name(description))
                }
                (None, Some(reason)) => format!("no answer in time, and {reason}"),
                (None, None) => "no answer in time".to_owned(),
            };
            self.phase = Phase::Ended;
            return Err(Error::failure(format!("DTLS handshake failed: {why}")));
        }
        if self.flight.due().is_some_and(|due| now >= due) {
            self.flight.repeat(now, &mut self.outbound, &mut self.datagrams);
        }
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handshaking(handshaking) => {
                handshaking.deadline.into_iter().chain(self.flight.due()).min()
            }
            _ => None,
        }
    }

    fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        match self.datagrams.pop_front() {
            Some(next) => {
                datagram.extend_from_slice(&next);
                true
            }
            None => false,
        }
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn overhead(&self) -> RecordOverhead {
        let longest = record::HEADER + 8;
        let head = self.outbound.sealer.as_ref().map_or(longest, |sealer| sealer.head());
        RecordOverhead { head, tail: TAG }
    }

    fn seal(&mut self, record: &mut [u8]) -> Result<usize> {
        let Phase::Connected = self.phase else {
            return Err(Error::failure("cannot protect data: DTLS is not connected"));
        };
        let sealer = self.outbound.sealer.as_mut();
        if sealer.is_some_and(|sealer| sealer.seal(record::APPLICATION_DATA, record)) {
            return Ok(record.len());
        }
        Err(Error::invalid(format!(
            "cannot protect a DTLS record of {} bytes: too short, too long, or the connection has \
             used up its sequence numbers",
            record.len()
        )))
    }

    fn export_keying_material(&self, label: &str, length: usize) -> Result<Vec<u8>> {
        match &self.secrets {
            Some(_) if length > MAX_EXPORT => Err(Error::invalid(format!(
                "cannot export {length} bytes of keying material: at most {MAX_EXPORT}"
            ))),
            Some(secrets) => Ok(secrets.export(label, length)),
            None => Err(Error::failure("cannot export keying material: DTLS is not connected")),
        }
    }

    fn srtp_aead(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
        crate::srtp::srtp_aead(key)
    }

    fn reject(&mut self, _now: Instant) {
        if !matches!(self.phase, Phase::Ended) {
            // With our last flight goes the ChangeCipherSpec after which the peer would believe
            // what is protected.
            self.datagrams.clear();
            self.queue_alert_as(Alert::BadCertificate, true);
            self.phase = Phase::Ended;
        }
    }

    fn close(&mut self, _now: Instant) {
        if !matches!(self.phase, Phase::Ended) {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use rtc_core::backend::dtls::CertificateKind;

    use super::*;
    use crate::certificate::generate;

    fn pair(now: Instant) -> [Session; 2] {
        let mut sides = [DtlsRole::Client, DtlsRole::Server].map(|role| {
            let certificate = generate(CertificateKind::Ecdsa, None).expect("it can be made");
            let config = DtlsConfig { certificate, role, mtu: 1200, srtp_profiles: Vec::new() };
            Session::new(config, now).expect("it starts")
        });
        for _ in 0..2 {
            for from in 0..2 {
                for mut datagram in std::mem::take(&mut sides[from].datagrams) {
                    let to = &mut sides[1 - from];
                    to.handle_datagram(now, &mut datagram, &mut |_| ()).expect("it is genuine");
                }
            }
        }
        assert!(sides.iter().all(|side| matches!(side.phase, Phase::Connected)));
        sides
    }

    #[test]
    fn a_wish_to_renegotiate_is_refused_and_the_connection_goes_on() {
        let now = Instant::now();
        let [mut client, mut server] = pair(now);
        for _ in 0..3 {
            let mut datagram = Vec::new();
            let request = [0; super::super::messages::HEADER];
            server.outbound.push(&mut datagram, record::HANDSHAKE, 1, [&request, &[]]);
            client.handle_datagram(now, &mut datagram, &mut |_| ()).expect("it is harmless");
        }
        let mut alerts = std::mem::take(&mut client.datagrams);
        assert_eq!(alerts.len(), 1, "one answer at a time");
        for datagram in &mut alerts {
            server.handle_datagram(now, datagram, &mut |_| ()).expect("it is a warning");
        }
        assert!(matches!(server.phase, Phase::Connected));
        assert!(matches!(client.phase, Phase::Connected));
    }

    #[test]
    fn a_protected_fatal_alert_ends_the_connection_with_its_reason() {
        let now = Instant::now();
        let [mut client, mut server] = pair(now);
        server.queue_alert(Alert::InternalError);
        let mut datagram = server.datagrams.pop_front().expect("it is queued");
        let error = client.handle_datagram(now, &mut datagram, &mut |_| ()).expect_err("it ends");
        assert_eq!(
            error.to_string(),
            "DTLS connection failed: the peer sent the alert internal_error (80)"
        );
    }

    #[test]
    fn what_comes_before_the_keys_is_bounded() {
        let now = Instant::now();
        let certificate = generate(CertificateKind::Ecdsa, None).expect("it can be made");
        let role = DtlsRole::Server;
        let config = DtlsConfig { certificate, role, mtu: 1200, srtp_profiles: Vec::new() };
        let mut server = Session::new(config, now).expect("it starts");
        for length in [0usize, 1000, 15_000] {
            for sequence in 0..1000 {
                let mut datagram = vec![0; record::HEADER + length];
                Header::write(&mut datagram, record::APPLICATION_DATA, 1, sequence, length);
                server.handle_datagram(now, &mut datagram, &mut |_| ()).expect("it is kept");
            }
            let kept = &mut server.early_records;
            assert!(kept.items.len() <= MAX_KEPT && kept.bytes <= MAX_KEPT_BYTES);
            assert_eq!(kept.items.iter().map(Vec::len).sum::<usize>(), kept.bytes);
            while kept.pop().is_some() {}
        }
    }
}
