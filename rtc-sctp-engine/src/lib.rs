//! SCTP for WebRTC data channels as a sans-IO state machine.
