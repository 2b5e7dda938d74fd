//! Peer connections.

use std::ffi::{c_char, c_int};

use librtc::{
    CertificateKind, Configuration, ConnectionState, DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MTU,
    DescriptionKind, Error, GatheringState, IceCredentials, IceState, PeerConnection, Result,
    SignalingState, parse_ice_server, parse_proxy,
};

use crate::boundary::{SUCCESS, clamp, copy_text, required, required_text, slice, text};
use crate::handles::{self, Object, UserPointer};
use crate::{abi, callbacks};

/// Largest MTU that is used: a UDP datagram has to fit.
const MAX_MTU: usize = 65_000;

exports! {
    /// Makes a connection.
    pub extern "C" fn rtcCreatePeerConnection(config: *const abi::Configuration) -> c_int {
        let config = configuration(required(config, "config")?)?;
        let peer = PeerConnection::builder().configuration(config).build()?;
        Ok(handles::insert(Object::Peer(peer), UserPointer::NULL))
    }

    /// Closes a connection gracefully, without waiting.
    pub extern "C" fn rtcClosePeerConnection(pc: c_int) -> c_int {
        handles::peer(pc)?.close();
        SUCCESS
    }

    /// Closes a connection and deletes its identifier; waits for its running callbacks.
    pub extern "C" fn rtcDeletePeerConnection(pc: c_int) -> c_int {
        handles::delete_peer(pc)?.delete();
        handles::remove(pc);
        SUCCESS
    }

    /// Probes the path for larger packets; of `rtc_ext.h`.
    pub extern "C" fn rtcSetMaxMtu(pc: c_int, max_mtu: c_int) -> c_int {
        let bytes = usize::try_from(max_mtu).map_err(|_| Error::invalid("maxMtu is negative"))?;
        handles::peer(pc)?.set_max_mtu(bytes)?;
        SUCCESS
    }

    /// Sets or clears the callback for local descriptions.
    pub extern "C" fn rtcSetLocalDescriptionCallback(
        pc: c_int,
        cb: abi::DescriptionCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => {
                let callback = callbacks::texts(pc, cb);
                peer.on_local_description(move |sdp, kind| callback(sdp, kind.as_str()));
            }
            None => peer.clear_on_local_description(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for local candidates.
    pub extern "C" fn rtcSetLocalCandidateCallback(
        pc: c_int,
        cb: abi::CandidateCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_local_candidate(callbacks::texts(pc, cb)),
            None => peer.clear_on_local_candidate(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for the state of the connection.
    pub extern "C" fn rtcSetStateChangeCallback(
        pc: c_int,
        cb: abi::StateChangeCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_connection_state(callbacks::state(
                pc, cb, |state: ConnectionState| state as c_int,
            )),
            None => peer.clear_on_connection_state(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for the state of ICE.
    pub extern "C" fn rtcSetIceStateChangeCallback(
        pc: c_int,
        cb: abi::IceStateChangeCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => {
                peer.on_ice_state(callbacks::state(pc, cb, |state: IceState| state as c_int));
            }
            None => peer.clear_on_ice_state(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for the state of gathering.
    pub extern "C" fn rtcSetGatheringStateChangeCallback(
        pc: c_int,
        cb: abi::GatheringStateCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_gathering_state(callbacks::state(
                pc, cb, |state: GatheringState| state as c_int,
            )),
            None => peer.clear_on_gathering_state(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for the state of the offer/answer exchange.
    pub extern "C" fn rtcSetSignalingStateChangeCallback(
        pc: c_int,
        cb: abi::SignalingStateCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_signaling_state(callbacks::state(
                pc, cb, |state: SignalingState| state as c_int,
            )),
            None => peer.clear_on_signaling_state(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for data channels that the peer creates.
    pub extern "C" fn rtcSetDataChannelCallback(
        pc: c_int,
        cb: abi::DataChannelCallback,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_data_channel(callbacks::data_channel(pc, cb)),
            None => peer.clear_on_data_channel(),
        }
        SUCCESS
    }

    /// Sets or clears the callback for tracks that the peer creates.
    pub extern "C" fn rtcSetTrackCallback(pc: c_int, cb: abi::TrackCallback) -> c_int {
        let peer = handles::peer(pc)?;
        match cb {
            Some(cb) => peer.on_track(callbacks::track(pc, cb)),
            None => peer.clear_on_track(),
        }
        SUCCESS
    }

    /// Makes and sets the local description.
    pub extern "C" fn rtcSetLocalDescription(pc: c_int, kind: *const c_char) -> c_int {
        let peer = handles::peer(pc)?;
        peer.set_local_description(DescriptionKind::from_text(text(kind).as_deref()))?;
        SUCCESS
    }

    /// Makes and sets the local description, with ICE credentials of the caller's choice.
    pub extern "C" fn rtcSetLocalDescriptionEx(
        pc: c_int,
        kind: *const c_char,
        init: *const abi::LocalDescriptionInit,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        let kind = DescriptionKind::from_text(text(kind).as_deref());
        match credentials(init)? {
            Some(credentials) => peer.set_local_description_with(kind, &credentials)?,
            None => peer.set_local_description(kind)?,
        }
        SUCCESS
    }

    /// Sets the peer's description.
    pub extern "C" fn rtcSetRemoteDescription(
        pc: c_int,
        sdp: *const c_char,
        kind: *const c_char,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        let sdp = required_text(sdp, "sdp")?;
        peer.set_remote_description(&sdp, DescriptionKind::from_text(text(kind).as_deref()))?;
        SUCCESS
    }

    /// Adds a candidate of the peer. Everything is bundled, so the mid does not matter.
    pub extern "C" fn rtcAddRemoteCandidate(
        pc: c_int,
        cand: *const c_char,
        _mid: *const c_char,
    ) -> c_int {
        let peer = handles::peer(pc)?;
        peer.add_remote_candidate(&required_text(cand, "cand")?)?;
        SUCCESS
    }

    /// Copies the local description out.
    pub extern "C" fn rtcGetLocalDescription(
        pc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let local = there(handles::peer(pc)?.local_description(), "local description")?;
        copy_text(local.to_sdp().as_bytes(), buffer, size)
    }

    /// Copies the peer's description out.
    pub extern "C" fn rtcGetRemoteDescription(
        pc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let remote = there(handles::peer(pc)?.remote_description(), "remote description")?;
        copy_text(remote.to_sdp().as_bytes(), buffer, size)
    }

    /// Copies the type of the local description out.
    pub extern "C" fn rtcGetLocalDescriptionType(
        pc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let local = there(handles::peer(pc)?.local_description(), "local description")?;
        copy_text(local.kind.as_str().as_bytes(), buffer, size)
    }

    /// Copies the type of the peer's description out.
    pub extern "C" fn rtcGetRemoteDescriptionType(
        pc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let remote = there(handles::peer(pc)?.remote_description(), "remote description")?;
        copy_text(remote.kind.as_str().as_bytes(), buffer, size)
    }

    /// Copies out the offer that would be set.
    pub extern "C" fn rtcCreateOffer(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        copy_text(handles::peer(pc)?.create_offer()?.to_sdp().as_bytes(), buffer, size)
    }

    /// Copies out the answer that would be set.
    pub extern "C" fn rtcCreateAnswer(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        copy_text(handles::peer(pc)?.create_answer()?.to_sdp().as_bytes(), buffer, size)
    }

    /// Copies out the local address in use, as `address:port`.
    pub extern "C" fn rtcGetLocalAddress(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        let (local, _) = there(handles::peer(pc)?.selected_candidate_pair(), "selected pair")?;
        copy_text(format!("{}:{}", local.host, local.port).as_bytes(), buffer, size)
    }

    /// Copies out the peer's address in use, as `address:port`.
    pub extern "C" fn rtcGetRemoteAddress(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        let (_, remote) = there(handles::peer(pc)?.selected_candidate_pair(), "selected pair")?;
        copy_text(format!("{}:{}", remote.host, remote.port).as_bytes(), buffer, size)
    }

    /// Copies out the candidates in use, as attributes.
    pub extern "C" fn rtcGetSelectedCandidatePair(
        pc: c_int,
        local: *mut c_char,
        local_size: c_int,
        remote: *mut c_char,
        remote_size: c_int,
    ) -> c_int {
        let pair = there(handles::peer(pc)?.selected_candidate_pair(), "selected pair")?;
        let copied = copy_text(format!("a={}", pair.0).as_bytes(), local, local_size)?;
        Ok(copied.max(copy_text(format!("a={}", pair.1).as_bytes(), remote, remote_size)?))
    }

    /// True when something was added that the peer has not been told of.
    pub extern "C" fn rtcIsNegotiationNeeded(pc: c_int) -> bool {
        Ok(handles::peer(pc)?.is_negotiation_needed())
    }

    /// The highest stream a data channel can have.
    pub extern "C" fn rtcGetMaxDataChannelStream(pc: c_int) -> c_int {
        Ok(handles::peer(pc)?.max_data_channel_stream().into())
    }

    /// The largest message that can be sent, in bytes.
    pub extern "C" fn rtcGetRemoteMaxMessageSize(pc: c_int) -> c_int {
        Ok(clamp(handles::peer(pc)?.remote_max_message_size()))
    }
}

fn there<T>(value: Option<T>, what: &str) -> Result<T> {
    value.ok_or_else(|| Error::not_available(format!("there is no {what}")))
}

/// The ICE credentials in a structure that may be absent.
fn credentials(init: *const abi::LocalDescriptionInit) -> Result<Option<IceCredentials>> {
    let Ok(init) = required(init, "init") else { return Ok(None) };
    match (text(init.ice_ufrag), text(init.ice_pwd)) {
        (None, None) => Ok(None),
        (Some(ufrag), Some(pwd)) => IceCredentials::new(&ufrag, &pwd).map(Some),
        _ => Err(Error::invalid("iceUfrag and icePwd belong together")),
    }
}

fn configuration(c: &abi::Configuration) -> Result<Configuration> {
    let mut config = Configuration::default();
    for url in slice(c.ice_servers, c.ice_servers_count, "iceServers")? {
        let url = required_text(*url, "an entry of iceServers")?;
        config.ice_servers.push(parse_ice_server(&url)?);
    }
    if let Some(proxy) = text(c.proxy_server) {
        parse_proxy(&proxy)?;
        config.proxy_server = Some(proxy);
    }
    config.bind_address = text(c.bind_address).filter(|address| !address.is_empty());
    config.certificate = match c.certificate_type {
        abi::RTC_CERTIFICATE_DEFAULT | abi::RTC_CERTIFICATE_ECDSA => CertificateKind::Ecdsa,
        abi::RTC_CERTIFICATE_RSA => CertificateKind::Rsa,
        other => return Err(Error::invalid(format!("there is no certificate type {other}"))),
    };
    config.relay_only = c.ice_transport_policy == abi::RTC_TRANSPORT_POLICY_RELAY;
    config.ice_tcp = c.enable_ice_tcp.is_true();
    config.ice_udp_mux = c.enable_ice_udp_mux.is_true();
    config.disable_auto_negotiation = c.disable_auto_negotiation.is_true();
    config.force_media_transport = c.force_media_transport.is_true();
    config.port_range = match (c.port_range_begin, c.port_range_end) {
        (0, 0) => None,
        (begin, 0) => Some((begin, u16::MAX)),
        // Below 1024 only privileged programs may bind.
        (0, end) => Some((end.min(1024), end)),
        range => Some(range),
    };
    config.mtu = positive(c.mtu).map_or(DEFAULT_MTU, |mtu| mtu.min(MAX_MTU));
    if config.mtu > 1500 {
        log::warn!("MTU {} is larger than what Ethernet carries", config.mtu);
    }
    config.max_message_size = positive(c.max_message_size).unwrap_or(DEFAULT_MAX_MESSAGE_SIZE);
    config.validate()?;
    Ok(config)
}

fn positive(value: c_int) -> Option<usize> {
    usize::try_from(value).ok().filter(|value| *value > 0)
}
