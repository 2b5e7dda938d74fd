//! Records (RFC 6347 §4.1) as far as they can be read without keys, and which of them OpenSSL gets
//! to see during a handshake.
//!
//! OpenSSL ends a handshake for many a record that anybody could have sent. What it would not use
//! anyway does not reach it.

/// Bytes before the content.
pub(super) const HEADER: usize = 13;
/// `ContentType.application_data`
pub(super) const APPLICATION_DATA: u8 = 23;
/// `AlertDescription.close_notify`
pub(super) const CLOSE_NOTIFY: u8 = 0;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// `HandshakeType.hello_request`
const HELLO_REQUEST: u8 = 0;
/// `AlertLevel.warning` and `AlertLevel.fatal`
const WARNING: u8 = 1;
const FATAL: u8 = 2;
/// The first byte of every version of DTLS on the wire.
const MAJOR_VERSION: u8 = 0xfe;

/// One record in a datagram.
pub(super) struct Record<'a>(&'a mut [u8]);

/// What becomes of a record that comes during a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// OpenSSL gets it.
    Forward,
    /// Protected data: it waits until the handshake is complete.
    Keep,
    /// The peer seems to have given up, for the reason of this alert, or anybody says so.
    Doubt(u8),
    /// Nothing that a handshake needs.
    Drop,
}

impl<'a> Record<'a> {
    /// Takes the first record of a datagram; `None` when there is none or it is cut off.
    pub(super) fn split(datagram: &'a mut [u8]) -> Option<(Self, &'a mut [u8])> {
        let header = datagram.first_chunk::<HEADER>()?;
        let length = HEADER + usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (record, rest) = datagram.split_at_mut_checked(length)?;
        Some((Self(record), rest))
    }

    /// The whole record.
    pub(super) fn bytes(self) -> &'a mut [u8] {
        self.0
    }

    pub(super) fn fate(&self) -> Fate {
        let [kind, major, _, epoch @ .., _, _] = self.header();
        let epoch = u16::from_be_bytes([epoch[0], epoch[1]]);
        let content = self.0.get(HEADER..).unwrap_or_default();
        if *major != MAJOR_VERSION {
            return Fate::Drop;
        }
        match (epoch, *kind, content) {
            (0, HANDSHAKE, [HELLO_REQUEST, ..] | []) => Fate::Drop,
            (0, HANDSHAKE, _) | (0, CHANGE_CIPHER_SPEC, [1]) => Fate::Forward,
            (0, ALERT, [_, CLOSE_NOTIFY]) => Fate::Doubt(CLOSE_NOTIFY),
            (0, ALERT, [FATAL, description]) => Fate::Doubt(*description),
            (1, HANDSHAKE | ALERT, _) => Fate::Forward,
            (1, APPLICATION_DATA, _) => Fate::Keep,
            _ => Fate::Drop,
        }
    }

    /// Gives an unprotected record another sequence number. Nothing vouches for the one it came
    /// with: a forged high one would make OpenSSL take all that follow for replays.
    pub(super) fn renumber(&mut self, next: &mut u64) {
        if let Some(header) = self.0.first_chunk_mut::<HEADER>()
            && header[3..5] == [0, 0]
        {
            header[5..11].copy_from_slice(&next.to_be_bytes()[2..]);
            *next += 1;
        }
    }

    fn header(&self) -> &[u8; HEADER] {
        self.0.first_chunk().unwrap_or(&[0; HEADER])
    }
}

/// An unprotected alert: fatal, unless it is close_notify.
pub(super) fn unprotected_alert(sequence: u64, description: u8) -> Vec<u8> {
    let level = if description == CLOSE_NOTIFY { WARNING } else { FATAL };
    let mut record = vec![ALERT, MAJOR_VERSION, 0xfd, 0, 0];
    record.extend_from_slice(&sequence.to_be_bytes()[2..]);
    record.extend_from_slice(&[0, 2, level, description]);
    record
}

/// Epoch and sequence number of each record in a datagram of ours.
pub(super) fn numbers(datagram: &[u8]) -> impl Iterator<Item = (u16, u64)> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let [_, _, _, e1, e0, s5, s4, s3, s2, s1, s0, l1, l0] = *rest.first_chunk::<HEADER>()?;
        rest = rest.get(HEADER + usize::from(u16::from_be_bytes([l1, l0]))..)?;
        let sequence = u64::from_be_bytes([0, 0, s5, s4, s3, s2, s1, s0]);
        Some((u16::from_be_bytes([e1, e0]), sequence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u16, content: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xfe, 0xfd];
        record.extend_from_slice(&epoch.to_be_bytes());
        record.extend_from_slice(&[0, 0, 0, 0, 0, 7]);
        record.extend_from_slice(&(content.len() as u16).to_be_bytes());
        record.extend_from_slice(content);
        record
    }

    #[test]
    fn a_handshake_gets_to_see_what_it_can_use() {
        for (kind, epoch, content, expected) in [
            (HANDSHAKE, 0, &[1, 0, 0, 0][..], Fate::Forward),
            (HANDSHAKE, 0, &[HELLO_REQUEST, 0], Fate::Drop),
            (HANDSHAKE, 0, &[], Fate::Drop),
            (HANDSHAKE, 1, &[9; 40], Fate::Forward),
            (CHANGE_CIPHER_SPEC, 0, &[1], Fate::Forward),
            (CHANGE_CIPHER_SPEC, 0, &[2], Fate::Drop),
            (CHANGE_CIPHER_SPEC, 0, &[1, 1], Fate::Drop),
            (ALERT, 0, &[2, 40], Fate::Doubt(40)),
            (ALERT, 0, &[1, 0], Fate::Doubt(0)),
            (ALERT, 0, &[1, 41], Fate::Drop),
            (ALERT, 0, &[2], Fate::Drop),
            (ALERT, 1, &[7; 26], Fate::Forward),
            (APPLICATION_DATA, 0, b"data", Fate::Drop),
            (APPLICATION_DATA, 1, b"data", Fate::Keep),
            (APPLICATION_DATA, 2, b"data", Fate::Drop),
            (99, 0, b"?", Fate::Drop),
        ] {
            let mut bytes = record(kind, epoch, content);
            let (parsed, rest) = Record::split(&mut bytes).expect("it is whole");
            assert_eq!(parsed.fate(), expected, "{kind} {epoch} {content:?}");
            assert!(rest.is_empty());
        }
        let mut of_tls = record(HANDSHAKE, 0, &[1]);
        of_tls[1] = 3;
        assert_eq!(Record::split(&mut of_tls).expect("it is whole").0.fate(), Fate::Drop);
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        let whole = record(HANDSHAKE, 0, &[1, 2, 3]);
        for end in 0..whole.len() {
            assert!(Record::split(&mut whole[..end].to_vec()).is_none());
        }
        let mut two = [&whole[..], &whole].concat();
        let (first, rest) = Record::split(&mut two).expect("two");
        assert_eq!((first.bytes().len(), rest.len()), (whole.len(), whole.len()));
        assert_eq!(numbers(&two).collect::<Vec<_>>(), [(0, 7), (0, 7)]);
    }

    #[test]
    fn unprotected_records_are_renumbered_and_protected_ones_are_not() {
        let mut next = 1;
        for (epoch, expected) in [(0, 1), (1, 7), (0, 2)] {
            let mut bytes = record(HANDSHAKE, epoch, &[1]);
            let (mut parsed, _) = Record::split(&mut bytes).expect("it is whole");
            parsed.renumber(&mut next);
            assert_eq!(numbers(&bytes).collect::<Vec<_>>(), [(epoch, expected)]);
        }
        let alert = unprotected_alert(9, 42);
        assert_eq!(numbers(&alert).collect::<Vec<_>>(), [(0, 9)]);
    }
}
