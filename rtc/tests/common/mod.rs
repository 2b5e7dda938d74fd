//! Two connections that a test has talk to each other.

use librtc::PeerConnection;

/// Hands what each of the two has to say of itself to the other.
pub(crate) fn signal(near: &PeerConnection, far: &PeerConnection) {
    for (from, to) in [(near, far), (far, near)] {
        let other = to.clone();
        from.on_local_description(move |sdp, kind| {
            other.set_remote_description(sdp, kind).expect("a good description");
        });
        let other = to.clone();
        from.on_local_candidate(move |candidate, _| {
            other.add_remote_candidate(candidate).expect("a good candidate");
        });
    }
}

/// Deletes both, whose callbacks hold each other.
pub(crate) fn delete(connections: [PeerConnection; 2]) {
    for connection in &connections {
        connection.clear_on_local_description();
        connection.clear_on_local_candidate();
    }
    for connection in connections {
        connection.delete();
    }
}
