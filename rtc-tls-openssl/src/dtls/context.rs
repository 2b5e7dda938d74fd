//! What all DTLS connections have in common.

use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use rtc_core::backend::dtls::{DtlsConfig, DtlsRole, SrtpProfile};
use rtc_core::{Error, Result};

use crate::certificate::identity;
use crate::{failure, ffi};

/// Authenticated key exchange and encryption only, the quickest first.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                       ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
                       ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
const GROUPS: &str = "X25519:P-256:P-384";

/// OpenSSL refuses an MTU below its 256 bytes for IP, UDP and datagram together.
const SMALLEST_MTU: usize = 256 - 28;
/// No datagram is longer than this.
const LARGEST_MTU: usize = 65_507;

/// A connection that has not begun yet.
pub(super) fn connection(config: &DtlsConfig) -> Result<Ssl> {
    let identity = identity(&config.certificate)?;
    let set_up = || -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(context()?)?;
        ssl.set_certificate(&identity.leaf)?;
        ssl.set_private_key(&identity.key)?;
        for certificate in &identity.chain {
            ssl.add_chain_cert(certificate.clone())?;
        }
        if !config.srtp_profiles.is_empty() {
            let names: Vec<_> = config.srtp_profiles.iter().copied().map(srtp_name).collect();
            ssl.set_tlsext_use_srtp(&names.join(":"))?;
        }
        let mtu = config.mtu.clamp(SMALLEST_MTU, LARGEST_MTU);
        ssl.set_mtu(u32::try_from(mtu).unwrap_or(u32::MAX))?;
        match config.role {
            DtlsRole::Client => ssl.set_connect_state(),
            DtlsRole::Server => ssl.set_accept_state(),
        }
        ffi::use_short_waits(&mut ssl);
        Ok(ssl)
    };
    set_up().map_err(|stack| {
        Error::failure(format!("cannot set up DTLS: {}", failure::of_stack(&stack)))
    })
}

/// Made once for the process: that takes OpenSSL longer than a connection does.
fn context() -> Result<&'static SslContext, ErrorStack> {
    static CONTEXT: OnceLock<SslContext> = OnceLock::new();
    if let Some(context) = CONTEXT.get() {
        return Ok(context);
    }
    ffi::stay_loaded();
    let mut builder = SslContext::builder(SslMethod::dtls())?;
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_options(
        SslOptions::NO_QUERY_MTU
            | SslOptions::NO_COMPRESSION
            | SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Any certificate will do: the caller compares its fingerprint.
    let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    builder.set_verify_callback(mode, |_, _| true);
    Ok(CONTEXT.get_or_init(|| builder.build()))
}

/// The profiles by their names in OpenSSL (RFC 5764 §4.1.2, RFC 7714 §14.2).
const SRTP_NAMES: [(SrtpProfile, &str); 3] = [
    (SrtpProfile::Aes128CmSha1_80, "SRTP_AES128_CM_SHA1_80"),
    (SrtpProfile::AeadAes128Gcm, "SRTP_AEAD_AES_128_GCM"),
    (SrtpProfile::AeadAes256Gcm, "SRTP_AEAD_AES_256_GCM"),
];

fn srtp_name(profile: SrtpProfile) -> &'static str {
    SRTP_NAMES.iter().find(|(named, _)| *named == profile).map_or("", |(_, name)| name)
}

/// The profile that OpenSSL calls so.
pub(super) fn srtp_profile(name: &str) -> Option<SrtpProfile> {
    SRTP_NAMES.iter().find(|(_, known)| *known == name).map(|(profile, _)| *profile)
}
