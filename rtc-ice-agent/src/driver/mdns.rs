//! One-shot multicast DNS queries (RFC 6762 §5.1) for the `.local` names that browsers put into
//! candidates in place of private addresses. Few containers resolve them by `getaddrinfo`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, TYPE};
use socket2::{Domain, Protocol, Socket, Type};

/// RFC 6762 §3.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
/// How long answers are waited for, and when the question is asked again.
const PATIENCE: Duration = Duration::from_secs(3);
const REPETITION: Duration = Duration::from_secs(1);
/// How long one socket is listened to before it is the other's turn.
const TURN: Duration = Duration::from_millis(20);
/// Interfaces that are asked on.
const MAX_INTERFACES: usize = 8;
/// RFC 6762 §17.
const MAX_PACKET: usize = 9000;

/// Whether a host is a name that multicast DNS is asked for: one label and `.local`.
pub(super) fn is_local_name(host: &str) -> bool {
    host.len() <= 255
        && host
            .to_ascii_lowercase()
            .strip_suffix(".local")
            .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

/// Asks for the addresses of a `.local` name; blocks until the first answer, or a few seconds.
pub(super) fn resolve(name: &str, interfaces: &[Ipv4Addr]) -> Vec<IpAddr> {
    resolve_in(GROUP, name, interfaces, PATIENCE).unwrap_or_default()
}

fn resolve_in(
    group: SocketAddrV4,
    name: &str,
    interfaces: &[Ipv4Addr],
    patience: Duration,
) -> io::Result<Vec<IpAddr>> {
    let question = question(name).ok_or(io::ErrorKind::InvalidInput)?;
    // A question from another port than 5353 is answered by unicast (RFC 6762 §6.7). Some
    // responders multicast all the same.
    let asking = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    asking.set_read_timeout(Some(TURN))?;
    asking.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    let listening = listen(group, interfaces).ok();
    let begun = Instant::now();
    let mut asked_at = None;
    let mut buffer = [0; MAX_PACKET];
    let asking_receiver = UdpSocket::from(asking.try_clone()?);
    while begun.elapsed() < patience {
        if asked_at.is_none_or(|at: Instant| at.elapsed() >= REPETITION) {
            asked_at = Some(Instant::now());
            for interface in interfaces.iter().take(MAX_INTERFACES) {
                // An interface without multicast is no reason to give up the others.
                let _ = asking
                    .set_multicast_if_v4(interface)
                    .and_then(|()| asking.send_to(&question, &SocketAddr::from(group).into()));
            }
        }
        for socket in [Some(&asking_receiver), listening.as_ref()].into_iter().flatten() {
            let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
            let found = answers(name, buffer.get(..length).unwrap_or_default());
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    Ok(Vec::new())
}

/// Joins the group on its own port, next to other responders of this host.
fn listen(group: SocketAddrV4, interfaces: &[Ipv4Addr]) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_read_timeout(Some(TURN))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into())?;
    for interface in interfaces.iter().take(MAX_INTERFACES) {
        // As above.
        let _ = socket.join_multicast_v4(group.ip(), interface);
    }
    Ok(socket.into())
}

fn question(name: &str) -> Option<Vec<u8>> {
    let name = Name::new(name).ok()?;
    let mut packet = Packet::new_query(0);
    for kind in [TYPE::A, TYPE::AAAA] {
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(Question::new(name.clone(), QTYPE::TYPE(kind), class, true));
    }
    packet.build_bytes_vec().ok()
}

/// The addresses that an answer gives for `name`.
fn answers(name: &str, packet: &[u8]) -> Vec<IpAddr> {
    let Ok(packet) = Packet::parse(packet) else { return Vec::new() };
    let records = packet.answers.iter().chain(&packet.additional_records);
    let ours = records.filter(|record| record.name.to_string().eq_ignore_ascii_case(name));
    let address = |data: &RData<'_>| match data {
        RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
        RData::AAAA(aaaa) => Some(IpAddr::from(std::net::Ipv6Addr::from(aaaa.address))),
        _ => None,
    };
    ours.filter_map(|record| address(&record.rdata)).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    use super::*;

    const NAME: &str = "8a1bd1de-6bb1-4f4c-9b44-2c7d9b0d1ac0.local";

    fn answer(name: &str, address: Ipv4Addr) -> Vec<u8> {
        let mut packet = Packet::new_reply(0);
        let data = RData::A(A { address: address.into() });
        let name = Name::new(name).expect("a good name");
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 120, data));
        packet.build_bytes_vec().expect("it fits")
    }

    #[test]
    fn only_names_of_one_label_are_asked_for() {
        let cases = [
            (NAME, true),
            ("Host.LOCAL", true),
            (".local", false),
            ("local", false),
            ("a.b.local", false),
            ("host.local.example", false),
            ("192.0.2.1", false),
        ];
        for (host, expected) in cases {
            assert_eq!(is_local_name(host), expected, "{host}");
        }
    }

    #[test]
    fn answers_to_other_questions_are_not_taken() {
        let address = Ipv4Addr::new(192, 0, 2, 7);
        assert_eq!(answers(NAME, &answer(NAME, address)), [IpAddr::from(address)]);
        assert_eq!(answers(NAME, &answer(&NAME.to_uppercase(), address)), [IpAddr::from(address)]);
        assert_eq!(answers(NAME, &answer("other.local", address)), Vec::<IpAddr>::new());
        assert_eq!(answers(NAME, &question(NAME).expect("a good name")), Vec::<IpAddr>::new());
    }

    #[test]
    fn a_responder_is_found_by_unicast_or_multicast_and_silence_ends() {
        for by_multicast in [false, true] {
            let port =
                UdpSocket::bind("127.0.0.1:0").expect("it binds").local_addr().expect("bound");
            let group = SocketAddrV4::new(*GROUP.ip(), port.port());
            let responder = listen(group, &[Ipv4Addr::LOCALHOST]).expect("it listens");
            responder.set_read_timeout(Some(PATIENCE * 10)).expect("a good timeout");
            let answering = thread::spawn(move || {
                let mut buffer = [0; MAX_PACKET];
                let (length, asker) = responder.recv_from(&mut buffer).expect("a question");
                let packet = Packet::parse(&buffer[..length]).expect("a good question");
                assert_eq!(packet.questions.len(), 2);
                let name = packet.questions[0].qname.to_string();
                let reply = answer(&name, Ipv4Addr::new(192, 0, 2, 7));
                let to = if by_multicast { SocketAddr::from(group) } else { asker };
                let socket = Socket::from(responder);
                socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
                socket.send_to(&reply, &to.into()).expect("it is sent");
            });
            let found = resolve_in(group, NAME, &[Ipv4Addr::LOCALHOST], PATIENCE * 10);
            assert_eq!(found.expect("it asks"), [IpAddr::from([192, 0, 2, 7])]);
            answering.join().expect("the responder ends well");
            let silence =
                resolve_in(group, NAME, &[Ipv4Addr::LOCALHOST], Duration::from_millis(50));
            assert_eq!(silence.expect("it asks"), Vec::<IpAddr>::new());
        }
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
            answers(NAME, &packet);
        }

        #[test]
        fn no_changed_answer_panics(
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        ) {
            let mut packet = answer(NAME, Ipv4Addr::new(192, 0, 2, 7));
            for (index, value) in changes {
                let index = index % packet.len();
                packet[index] = value;
            }
            answers(NAME, &packet);
        }
    }
}
