//! String getters: sizes with NULL, copies, buffers that are too small.

use super::Case;
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Pair, Peer, Signalling, c};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("every string getter obeys the buffer rules", buffer_rules),
        Case::new("the candidate pair obeys the buffer rules on both sides", pair_rules),
        Case::new("labels and protocols are any UTF-8 text", any_text),
        Case::new("labels and protocols of 65535 bytes reach the remote side", long_text),
        Case::new("a string that is not there yet is not available", not_available),
    ]
}

/// Checks NULL, exact, one too small, one too large, zero and negative sizes.
fn examine(rows: &mut Rows, lib: Lib, getter: Getter, id: i32) {
    let name = getter.name;
    let needed = lib.fill(getter, id, None, 0);
    rows.holds(format!("{name}(NULL) gives a size, not {needed}"), needed > 0);
    if needed <= 0 {
        return;
    }
    for size in [-1, 1, i32::MAX, i32::MIN] {
        rows.equal(format!("{name}(NULL, {size})"), lib.fill(getter, id, None, size), needed);
    }
    let room = needed as usize + 8;
    let mut exact = vec![0xaa; room];
    rows.equal(format!("{name}(exact)"), lib.fill(getter, id, Some(&mut exact), needed), needed);
    let text = &exact[..needed as usize];
    rows.equal(format!("{name} ends in NUL"), text.iter().position(|b| *b == 0), Some(room - 9));
    rows.holds(
        format!("{name} writes no further"),
        exact[needed as usize..].iter().all(|b| *b == 0xaa),
    );
    let mut ample = vec![0xaa; room];
    rows.equal(
        format!("{name}(ample)"),
        lib.fill(getter, id, Some(&mut ample), room as i32),
        needed,
    );
    rows.holds(format!("{name} gives the same again"), ample == exact);
    for size in [needed - 1, 1, 0, -1, i32::MIN] {
        if size >= needed {
            continue;
        }
        let mut small = vec![0xaa; room];
        rows.code(
            format!("{name}({size})"),
            lib.fill(getter, id, Some(&mut small), size),
            TOO_SMALL,
        );
        rows.holds(format!("{name}({size}) leaves the buffer"), small.iter().all(|b| *b == 0xaa));
    }
}

fn buffer_rules(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let init = Init { protocol: Some(c("proto")), ..Init::default() };
    let (near, far) = connected.open_with("label", &init);
    let mut rows = Rows::new();
    let peers = [
        Getter::LOCAL_DESCRIPTION,
        Getter::REMOTE_DESCRIPTION,
        Getter::LOCAL_TYPE,
        Getter::REMOTE_TYPE,
        Getter::LOCAL_ADDRESS,
        Getter::REMOTE_ADDRESS,
    ];
    connected.a.wait_gathered();
    connected.b.wait_gathered();
    for getter in peers {
        examine(&mut rows, lab.lib, getter, connected.a.id);
        examine(&mut rows, lab.lib, getter, connected.b.id);
    }
    for getter in [Getter::LABEL, Getter::PROTOCOL] {
        examine(&mut rows, lab.lib, getter, near.id);
        examine(&mut rows, lab.lib, getter, far.id);
    }
}

fn pair_rules(lab: &Lab) {
    // With candidates that come later, a pair may begin with a peer-reflexive one and change.
    let (a, b) = (Peer::new(lab.lib), Peer::new(lab.lib));
    let connected = Connected::over(Pair::of(a, b, Signalling::Whole));
    let (lib, pc) = (lab.lib, connected.a.id);
    let larger = lib.selected_pair(pc, None, 0, None, 0);
    assert!(larger > 0, "the size of the pair is {larger}");
    let size = larger as usize;
    let (mut local, mut remote) = (vec![0xaa; size], vec![0xaa; size]);
    let mut rows = Rows::new();
    let both = lib.selected_pair(pc, Some(&mut local), larger, Some(&mut remote), larger);
    rows.equal("both", both, larger);
    let length = |text: &[u8]| text.iter().position(|byte| *byte == 0).map(|at| at as i32 + 1);
    let (l, r) = (length(&local).unwrap_or(0), length(&remote).unwrap_or(0));
    rows.equal("the larger one counts", l.max(r), larger);
    let mut small = vec![0xaa; size];
    let local_small = lib.selected_pair(pc, Some(&mut small), l - 1, None, 0);
    rows.code("local too small", local_small, TOO_SMALL);
    let remote_small = lib.selected_pair(pc, None, 0, Some(&mut small), r - 1);
    rows.code("remote too small", remote_small, TOO_SMALL);
    let only = lib.selected_pair(pc, Some(&mut local), l, None, -5);
    rows.equal("remote NULL", only, larger);
    rows.code("negative size", lib.selected_pair(pc, Some(&mut small), -1, None, 0), TOO_SMALL);
    rows.holds("a small buffer is left alone", small.iter().all(|byte| *byte == 0xaa));
}

fn any_text(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let mut rows = Rows::new();
    let texts = ["", " ", "ünïcödé", "日本語🦀", "a=b\r\nc", "%00%s%n", "\u{1}\u{7f}"];
    for (index, text) in texts.into_iter().enumerate() {
        let init = Init { protocol: Some(c(text)), ..Init::default() };
        let near = connected.a.channel_with(text, &init);
        near.wait_open();
        let far = connected.b.incoming(index + 1);
        for (side, id) in [("near", near.id), ("far", far.id)] {
            let label = lab.lib.string(Getter::LABEL, id);
            rows.equal(format!("{side} label"), label.as_deref(), Ok(text));
            let protocol = lab.lib.string(Getter::PROTOCOL, id);
            rows.equal(format!("{side} protocol"), protocol.as_deref(), Ok(text));
        }
    }
}

fn long_text(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let label = "l".repeat(65535);
    let init = Init { protocol: Some(c(&"p".repeat(65535))), ..Init::default() };
    let near = connected.a.channel_with(&label, &init);
    near.wait_open();
    let far = connected.b.incoming(1);
    assert_eq!(lab.lib.string(Getter::LABEL, far.id).map(|text| text == label), Ok(true));
    let protocol = lab.lib.string(Getter::PROTOCOL, far.id);
    assert_eq!(protocol.map(|text| text == "p".repeat(65535)), Ok(true));
}

fn not_available(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let mut rows = Rows::new();
    let getters = [
        Getter::LOCAL_DESCRIPTION,
        Getter::REMOTE_DESCRIPTION,
        Getter::LOCAL_TYPE,
        Getter::REMOTE_TYPE,
        Getter::LOCAL_ADDRESS,
        Getter::REMOTE_ADDRESS,
    ];
    for getter in getters {
        for buffer in [None, Some(&mut [0u8; 64][..])] {
            let size = buffer.as_ref().map_or(0, |_| 64);
            rows.code(getter.name, lab.lib.fill(getter, peer.id, buffer, size), NOT_AVAIL);
        }
    }
    let pair = lab.lib.selected_pair(peer.id, None, 0, None, 0);
    rows.code("rtcGetSelectedCandidatePair", pair, NOT_AVAIL);
    let channel = peer.channel("x");
    rows.code("rtcGetDataChannelStream", channel.stream(), NOT_AVAIL);
    rows.code(
        "rtcGetLocalAddress with a channel",
        lab.lib.fill(Getter::LOCAL_ADDRESS, peer.id, None, 0),
        NOT_AVAIL,
    );
}
