//! What protecting and opening a packet of 1200 bytes costs.

use std::hint::black_box;
use std::time::Instant;

use rtc_srtp_engine::{Profile, Role, Session};

const PACKETS: u32 = 200_000;

fn main() {
    for profile in Profile::ALL {
        let exported = vec![7; profile.exported_length()];
        let session = |role| Session::new(profile, role, &exported).expect("the length is right");
        let (mut alice, mut bob) = (session(Role::Client), session(Role::Server));
        let mut buffer = vec![0; 1200 + profile.rtp_overhead()];
        buffer[0] = 0x80;
        let (mut protecting, mut opening) = (0, 0);
        for sequence in 0..PACKETS {
            buffer[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
            let start = Instant::now();
            let length = alice.outbound.protect_rtp(black_box(&mut buffer), 1200);
            let middle = Instant::now();
            assert_eq!(length, Ok(buffer.len()));
            assert_eq!(bob.inbound.open_rtp(black_box(&mut buffer)), Ok(1200));
            protecting += (middle - start).as_nanos();
            opening += middle.elapsed().as_nanos();
        }
        let each = |total| total / u128::from(PACKETS);
        println!("{profile:?}: protect {} ns, open {} ns", each(protecting), each(opening));
    }
}
