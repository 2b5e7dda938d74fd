//! Groups that are not implemented yet: tracks and media. Their functions exist, so that every
//! program links, and say that they are not available.

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};

use crate::abi;
use crate::boundary::SUCCESS;

/// Defines functions that are not available.
macro_rules! unavailable {
    ($(pub extern "C" fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> c_int;)*) => {$(
        /// Not available yet.
        #[allow(unsafe_code, non_snake_case)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($argument: $type),*) -> c_int {
            $(let _ = $argument;)*
            log::error!("{}: not available in this version", stringify!($name));
            abi::RTC_ERR_NOT_AVAIL
        }
    )*};
}

type InterceptorCallback = abi::InterceptorCallback;

unavailable! {
    pub extern "C" fn rtcRequestKeyframe(tr: c_int) -> c_int;
    pub extern "C" fn rtcRequestBitrate(tr: c_int, bitrate: c_uint) -> c_int;

    pub extern "C" fn rtcSetMediaInterceptorCallback(id: c_int, cb: InterceptorCallback) -> c_int;
    pub extern "C" fn rtcSetH264Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetH265Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetAV1Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetOpusPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetAACPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetPCMUPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetPCMAPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcSetG722Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int;
    pub extern "C" fn rtcChainRtcpReceivingSession(tr: c_int) -> c_int;
    pub extern "C" fn rtcChainRtcpSrReporter(tr: c_int) -> c_int;
    pub extern "C" fn rtcChainRtcpNackResponder(tr: c_int, packets: c_uint) -> c_int;
    pub extern "C" fn rtcChainPliHandler(tr: c_int, cb: abi::PliHandlerCallback) -> c_int;
    pub extern "C" fn rtcChainRembHandler(tr: c_int, cb: abi::RembHandlerCallback) -> c_int;
    pub extern "C" fn rtcTransformSecondsToTimestamp(
        id: c_int,
        seconds: c_double,
        timestamp: *mut u32,
    ) -> c_int;
    pub extern "C" fn rtcTransformTimestampToSeconds(
        id: c_int,
        timestamp: u32,
        seconds: *mut c_double,
    ) -> c_int;
    pub extern "C" fn rtcGetCurrentTrackTimestamp(id: c_int, timestamp: *mut u32) -> c_int;
    pub extern "C" fn rtcSetTrackRtpTimestamp(id: c_int, timestamp: u32) -> c_int;
    pub extern "C" fn rtcGetLastTrackSenderReportTimestamp(
        id: c_int,
        timestamp: *mut u32,
    ) -> c_int;
    pub extern "C" fn rtcGetTrackPayloadTypesForCodec(
        tr: c_int,
        codec: *const c_char,
        buffer: *mut c_int,
        size: c_int,
    ) -> c_int;
    pub extern "C" fn rtcGetSsrcsForTrack(tr: c_int, buffer: *mut u32, count: c_int) -> c_int;
    pub extern "C" fn rtcGetCNameForSsrc(
        tr: c_int,
        ssrc: u32,
        cname: *mut c_char,
        size: c_int,
    ) -> c_int;
    pub extern "C" fn rtcGetSsrcsForType(
        media_type: *const c_char,
        sdp: *const c_char,
        buffer: *mut u32,
        size: c_int,
    ) -> c_int;
    pub extern "C" fn rtcSetSsrcForType(
        media_type: *const c_char,
        sdp: *const c_char,
        buffer: *mut c_char,
        size: c_int,
        init: *mut abi::SsrcForTypeInit,
    ) -> c_int;
}

exports! {
    /// Without media there are no opaque messages to make: NULL.
    pub extern "C" fn rtcCreateOpaqueMessage(data: *mut c_void, size: c_int) -> *mut *mut c_void {
        let _ = (data, size);
        Ok(std::ptr::null_mut())
    }

    /// Without media there are no opaque messages to delete.
    pub extern "C" fn rtcDeleteOpaqueMessage(msg: *mut *mut c_void) {
        let _ = msg;
        Ok(())
    }

    /// Does nothing, as upstream.
    pub extern "C" fn rtcSetNeedsToSendRtcpSr(id: c_int) -> c_int {
        let _ = id;
        SUCCESS
    }
}
