//! Handshake messages (RFC 5246 §7.4, RFC 6347 §4.3.2) and their extensions.

use rtc_core::backend::dtls::SrtpProfile;

use super::codec::{
    Malformed, Numbers, Reader, put_numbers, put_u16, put_u24, put_vec8, put_vec16, put_vec24,
};

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const SERVER_HELLO_DONE: u8 = 14;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;
pub(super) const FINISHED: u8 = 20;

/// Bytes of type, length, sequence number, fragment offset and fragment length.
pub(super) const HEADER: usize = 12;
/// Bytes of a random value in a hello.
pub(super) const RANDOM: usize = 32;
/// Bytes of verify_data in Finished.
pub(super) const VERIFY_DATA: usize = 12;
/// DTLS 1.2.
pub(super) const VERSION: u16 = 0xfefd;
/// `ECCurveType.named_curve` (RFC 8422 §5.4).
const NAMED_CURVE: u8 = 3;
/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3).
const RENEGOTIATION_SCSV: u16 = 0x00ff;

const EXTENSION_SUPPORTED_GROUPS: u16 = 10;
const EXTENSION_POINT_FORMATS: u16 = 11;
const EXTENSION_SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENSION_USE_SRTP: u16 = 14;
const EXTENSION_EXTENDED_MASTER_SECRET: u16 = 23;
const EXTENSION_RENEGOTIATION_INFO: u16 = 0xff01;

/// A whole handshake message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u8,
    /// 0 when it came unprotected.
    pub(super) epoch: u16,
    /// Header and body, as one fragment: what the transcript takes.
    pub(super) bytes: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn body(&self) -> Reader<'a> {
        Reader::new(self.bytes.get(HEADER..).unwrap_or_default())
    }
}

/// Encodes a whole message: header and body.
pub(super) fn message(kind: u8, sequence: u16, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0];
    put_u16(&mut out, sequence);
    out.extend_from_slice(&[0; 6]);
    write(&mut out);
    let length = out.len() - HEADER;
    let mut field = Vec::with_capacity(3);
    put_u24(&mut field, length);
    out[1..4].copy_from_slice(&field);
    out[9..12].copy_from_slice(&field);
    out
}

/// The extensions of either hello that matter here; others are skipped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extensions<'a> {
    pub(super) groups: Option<Numbers<'a>>,
    pub(super) signature_schemes: Option<Numbers<'a>>,
    pub(super) srtp_profiles: Option<Numbers<'a>>,
    pub(super) point_formats: bool,
    pub(super) extended_master_secret: bool,
    pub(super) renegotiation_info: bool,
}

impl<'a> Extensions<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut extensions = Self::default();
        if reader.is_empty() {
            return Ok(extensions);
        }
        let mut list = Reader::new(reader.vec16()?);
        while !list.is_empty() {
            let kind = list.u16()?;
            let mut content = Reader::new(list.vec16()?);
            match kind {
                EXTENSION_SUPPORTED_GROUPS => extensions.groups = Some(content.numbers()?),
                EXTENSION_SIGNATURE_ALGORITHMS => {
                    extensions.signature_schemes = Some(content.numbers()?);
                }
                EXTENSION_USE_SRTP => {
                    extensions.srtp_profiles = Some(content.numbers()?);
                    content.vec8()?;
                }
                EXTENSION_POINT_FORMATS => extensions.point_formats = true,
                EXTENSION_EXTENDED_MASTER_SECRET => extensions.extended_master_secret = true,
                EXTENSION_RENEGOTIATION_INFO => extensions.renegotiation_info = true,
                _ => {}
            }
        }
        Ok(extensions)
    }
}

fn put_extension(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    put_u16(out, kind);
    put_vec16(out, write);
}

fn put_common_extensions(out: &mut Vec<u8>, srtp: &[SrtpProfile], point_formats: bool) {
    if point_formats {
        // Uncompressed points only.
        put_extension(out, EXTENSION_POINT_FORMATS, |out| put_vec8(out, |out| out.push(0)));
    }
    if !srtp.is_empty() {
        put_extension(out, EXTENSION_USE_SRTP, |out| {
            put_numbers(out, srtp.iter().map(|profile| srtp_number(*profile)));
            // No master key identifier (RFC 5764 §4.1.3).
            out.push(0);
        });
    }
}

/// IANA's number of a profile.
pub(super) fn srtp_number(profile: SrtpProfile) -> u16 {
    match profile {
        SrtpProfile::Aes128CmSha1_80 => 0x0001,
        SrtpProfile::AeadAes128Gcm => 0x0007,
        SrtpProfile::AeadAes256Gcm => 0x0008,
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHello<'a> {
    pub(super) version: u16,
    pub(super) random: [u8; RANDOM],
    pub(super) suites: Numbers<'a>,
    pub(super) compressions: &'a [u8],
    pub(super) extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, Malformed> {
        let version = body.u16()?;
        let random = body.array()?;
        body.vec8()?; // session_id: nothing is resumed
        body.vec8()?; // cookie: none is asked for
        let suites = body.numbers()?;
        let compressions = body.vec8()?;
        let mut extensions = Extensions::read(&mut body)?;
        body.finish()?;
        extensions.renegotiation_info |= suites.contains(RENEGOTIATION_SCSV);
        Ok(Self { version, random, suites, compressions, extensions })
    }
}

/// What a ClientHello of ours says.
pub(super) struct ClientOffer<'a> {
    pub(super) random: &'a [u8; RANDOM],
    pub(super) cookie: &'a [u8],
    pub(super) suites: &'a mut dyn Iterator<Item = u16>,
    pub(super) groups: &'a mut dyn Iterator<Item = u16>,
    pub(super) signature_schemes: &'a mut dyn Iterator<Item = u16>,
    pub(super) srtp: &'a [SrtpProfile],
}

pub(super) fn put_client_hello(out: &mut Vec<u8>, offer: ClientOffer<'_>) {
    put_u16(out, VERSION);
    out.extend_from_slice(offer.random);
    put_vec8(out, |_| ());
    put_vec8(out, |out| out.extend_from_slice(offer.cookie));
    put_numbers(out, offer.suites);
    put_vec8(out, |out| out.push(0));
    put_vec16(out, |out| {
        put_extension(out, EXTENSION_SUPPORTED_GROUPS, |out| put_numbers(out, offer.groups));
        put_extension(out, EXTENSION_SIGNATURE_ALGORITHMS, |out| {
            put_numbers(out, offer.signature_schemes);
        });
        put_extension(out, EXTENSION_EXTENDED_MASTER_SECRET, |_| ());
        put_extension(out, EXTENSION_RENEGOTIATION_INFO, |out| out.push(0));
        put_common_extensions(out, offer.srtp, true);
    });
}

/// The cookie of a HelloVerifyRequest.
pub(super) fn read_hello_verify_request(mut body: Reader<'_>) -> Result<&[u8], Malformed> {
    body.u16()?;
    let cookie = body.vec8()?;
    body.finish()?;
    Ok(cookie)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ServerHello<'a> {
    pub(super) version: u16,
    pub(super) random: [u8; RANDOM],
    pub(super) suite: u16,
    pub(super) compression: u8,
    pub(super) extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, Malformed> {
        let version = body.u16()?;
        let random = body.array()?;
        body.vec8()?;
        let suite = body.u16()?;
        let compression = body.u8()?;
        let extensions = Extensions::read(&mut body)?;
        body.finish()?;
        Ok(Self { version, random, suite, compression, extensions })
    }
}

/// What a ServerHello of ours says.
pub(super) struct ServerAnswer<'a> {
    pub(super) random: &'a [u8; RANDOM],
    pub(super) suite: u16,
    /// The client's extensions: only what it asked for is answered.
    pub(super) asked: Extensions<'a>,
    pub(super) srtp: Option<SrtpProfile>,
}

pub(super) fn put_server_hello(out: &mut Vec<u8>, answer: &ServerAnswer<'_>) {
    put_u16(out, VERSION);
    out.extend_from_slice(answer.random);
    put_vec8(out, |_| ());
    put_u16(out, answer.suite);
    out.push(0);
    let mut extensions = Vec::new();
    if answer.asked.extended_master_secret {
        put_extension(&mut extensions, EXTENSION_EXTENDED_MASTER_SECRET, |_| ());
    }
    if answer.asked.renegotiation_info {
        put_extension(&mut extensions, EXTENSION_RENEGOTIATION_INFO, |out| out.push(0));
    }
    put_common_extensions(&mut extensions, answer.srtp.as_slice(), answer.asked.point_formats);
    if !extensions.is_empty() {
        put_vec16(out, |out| out.extend_from_slice(&extensions));
    }
}

/// The leaf of a Certificate message; `None` when the list is empty.
pub(super) fn read_certificate(mut body: Reader<'_>) -> Result<Option<&[u8]>, Malformed> {
    let mut list = Reader::new(body.vec24()?);
    body.finish()?;
    let mut leaf = None;
    while !list.is_empty() {
        let certificate = list.vec24()?;
        leaf.get_or_insert(certificate);
    }
    Ok(leaf)
}

pub(super) fn put_certificate<C: AsRef<[u8]>>(out: &mut Vec<u8>, chain: &[C]) {
    put_vec24(out, |out| {
        for certificate in chain {
            put_vec24(out, |out| out.extend_from_slice(certificate.as_ref()));
        }
    });
}

/// A signature with its scheme (RFC 5246 §4.7).
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) scheme: u16,
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, Malformed> {
        let scheme = body.u16()?;
        let signature = body.vec16()?;
        body.finish()?;
        Ok(Self { scheme, signature })
    }
}

pub(super) fn put_signed(out: &mut Vec<u8>, scheme: u16, signature: &[u8]) {
    put_u16(out, scheme);
    put_vec16(out, |out| out.extend_from_slice(signature));
}

/// An ephemeral key of the server's (RFC 8422 §5.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerKeyExchange<'a> {
    pub(super) group: u16,
    pub(super) public_key: &'a [u8],
    /// What is signed, after the two random values.
    pub(super) parameters: &'a [u8],
    pub(super) signed: Signed<'a>,
}

impl<'a> ServerKeyExchange<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, Malformed> {
        let whole = body;
        if body.u8()? != NAMED_CURVE {
            return Err(Malformed);
        }
        let group = body.u16()?;
        let public_key = body.vec8()?;
        let parameters = { whole }.take(4 + public_key.len())?;
        Ok(Self { group, public_key, parameters, signed: Signed::read(body)? })
    }
}

pub(super) fn put_key_parameters(out: &mut Vec<u8>, group: u16, public_key: &[u8]) {
    out.push(NAMED_CURVE);
    put_u16(out, group);
    put_vec8(out, |out| out.extend_from_slice(public_key));
}

/// The signature schemes of a CertificateRequest.
pub(super) fn read_certificate_request(mut body: Reader<'_>) -> Result<Numbers<'_>, Malformed> {
    body.vec8()?;
    let schemes = body.numbers()?;
    body.vec16()?;
    body.finish()?;
    Ok(schemes)
}

pub(super) fn put_certificate_request(out: &mut Vec<u8>, schemes: impl Iterator<Item = u16>) {
    // ecdsa_sign and rsa_sign.
    put_vec8(out, |out| out.extend_from_slice(&[64, 1]));
    put_numbers(out, schemes);
    put_vec16(out, |_| ());
}

/// The client's ephemeral key (RFC 8422 §5.7).
pub(super) fn read_client_key_exchange(mut body: Reader<'_>) -> Result<&[u8], Malformed> {
    let public_key = body.vec8()?;
    body.finish()?;
    Ok(public_key)
}
