//! How datagrams are grouped for one send.

use proptest::prelude::*;

use crate::peer::transport::TransmitBuffer;

/// Fills a buffer with datagrams of these lengths, as far as it has room; each says its number.
fn filled(lengths: &[usize], mtu: usize) -> (TransmitBuffer, Vec<Vec<u8>>) {
    let mut buffer = TransmitBuffer::default();
    let mut datagrams = Vec::new();
    for (index, length) in lengths.iter().copied().enumerate() {
        let Some(room) = buffer.room(mtu) else { break };
        assert_eq!(room.len(), mtu);
        room[..length].fill(index as u8);
        datagrams.push(room[..length].to_vec());
        buffer.push(length);
    }
    (buffer, datagrams)
}

fn split(batches: &[(&[u8], usize)]) -> Vec<Vec<u8>> {
    let datagrams = batches.iter().flat_map(|(batch, segment)| batch.chunks(*segment));
    datagrams.map(<[u8]>::to_vec).collect()
}

#[test]
fn a_batch_is_a_run_of_equal_sizes_whose_last_may_be_shorter() {
    for (lengths, expected) in [
        (&[][..], &[][..]),
        (&[5], &[(1, 5)]),
        (&[5, 5, 5], &[(3, 5)]),
        (&[5, 5, 3], &[(3, 5)]),
        (&[5, 5, 3, 3], &[(3, 5), (1, 3)]),
        (&[5, 3, 5, 5], &[(2, 5), (2, 5)]),
        (&[3, 5, 5, 7], &[(1, 3), (2, 5), (1, 7)]),
        (&[5, 4, 3, 2, 1], &[(2, 5), (2, 3), (1, 1)]),
    ] {
        let (buffer, _) = filled(lengths, 10);
        let batches: Vec<_> = buffer
            .batches()
            .map(|(batch, segment)| (batch.len().div_ceil(segment), segment))
            .collect();
        assert_eq!(batches, expected, "{lengths:?}");
    }
}

#[test]
fn a_buffer_takes_no_more_than_one_send_can_carry() {
    let (buffer, datagrams) = filled(&[10; 100], 10);
    assert_eq!(datagrams.len(), 64);
    assert_eq!(buffer.batches().count(), 1);
    let (_, datagrams) = filled(&[1500; 100], 1500);
    assert_eq!(datagrams.len(), 65_507 / 1500);
    let mut buffer = buffer;
    buffer.clear();
    assert_eq!(buffer.batches().count(), 0);
    assert!(buffer.room(10).is_some());
}

proptest! {
    #[test]
    fn batches_hold_every_datagram_in_order_and_are_as_few_as_can_be(
        lengths in prop::collection::vec(prop_oneof![Just(40), 1..=40_usize], 0..80),
    ) {
        let (buffer, datagrams) = filled(&lengths, 40);
        let batches: Vec<_> = buffer.batches().collect();
        prop_assert_eq!(split(&batches), datagrams);
        for pair in batches.windows(2) {
            let [(batch, segment), (next, next_segment)] = pair else { unreachable!() };
            // The next datagram would not have fitted behind this batch.
            let ended = batch.len() % segment != 0;
            let first = next.len().min(*next_segment);
            prop_assert!(ended || first > *segment);
        }
    }
}
