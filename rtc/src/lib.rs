//! WebRTC peer connections and data channels over pluggable backends.
