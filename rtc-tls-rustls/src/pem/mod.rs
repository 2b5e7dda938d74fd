//! Certificates and private keys in PEM (RFC 7468), plain and encrypted.

mod encryption;

use rtc_core::backend::dtls::Certificate;
use rtc_core::{Error, Result};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use zeroize::Zeroizing;

use crate::certificate::{certificate, signing_key};
use crate::der;
use crate::x509;

/// Loads a chain, leaf first, and the private key of its leaf.
pub(crate) fn load(
    certificate_pem: &str,
    key_pem: &str,
    passphrase: Option<&str>,
) -> Result<Certificate> {
    let chain: Vec<_> = blocks(certificate_pem)
        .filter(|block| block.label == "CERTIFICATE")
        .map(|block| Ok(CertificateDer::from(block.content()?.to_vec())))
        .collect::<Result<_>>()?;
    let leaf = chain
        .first()
        .ok_or_else(|| Error::invalid("cannot load a certificate: the text contains none"))?;
    let certified = x509::public_key(leaf)
        .ok_or_else(|| Error::invalid("cannot load a certificate: it is not X.509"))?;

    let key = signing_key(load_key(key_pem, passphrase)?)?;
    if let Some(info) = key.public_key() {
        let own = der::Reader::new(info.as_ref()).enter(der::SEQUENCE).and_then(x509::key_info);
        if own != Some(certified) {
            return Err(Error::invalid(
                "cannot load a certificate: the private key belongs to another one",
            ));
        }
    }
    Ok(certificate(chain, key))
}

fn load_key(pem: &str, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let block = blocks(pem)
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or_else(|| Error::invalid("cannot load a private key: the text contains none"))?;
    let passphrase = || {
        passphrase.ok_or_else(|| {
            Error::invalid("cannot load a private key: it is encrypted, and there is no passphrase")
        })
    };
    let content = block.content()?;
    let content = match block.encryption()? {
        Some(encryption) => encryption::open_traditional(&encryption, &content, passphrase()?)?,
        None => content,
    };
    match block.label {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(content.to_vec()).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(content.to_vec()).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(content.to_vec()).into()),
        "ENCRYPTED PRIVATE KEY" => {
            let content = encryption::open_pkcs8(&content, passphrase()?)?;
            Ok(PrivatePkcs8KeyDer::from(content.to_vec()).into())
        }
        label => Err(Error::invalid(format!("cannot load a private key: `{label}` is unknown"))),
    }
}

/// One block between its BEGIN and END lines.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// The lines before the empty one, where there are headers (RFC 1421 §4.6).
    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.body.lines().filter_map(|line| line.split_once(':'))
    }

    fn content(&self) -> Result<Zeroizing<Vec<u8>>> {
        let lines = self.body.lines().filter(|line| !line.contains(':'));
        base64(lines.flat_map(str::bytes)).ok_or_else(|| {
            Error::invalid(format!("cannot read PEM: `{}` is not in base64", self.label))
        })
    }

    /// The value of DEK-Info in a traditional encrypted key.
    fn encryption(&self) -> Result<Option<String>> {
        let value = |name: &str| {
            self.headers().find(|(header, _)| *header == name).map(|(_, value)| value.trim())
        };
        if !value("Proc-Type").is_some_and(|kind| kind.ends_with("ENCRYPTED")) {
            return Ok(None);
        }
        match value("DEK-Info") {
            Some(info) => Ok(Some(info.to_owned())),
            None => Err(Error::invalid("cannot load a private key: DEK-Info is missing")),
        }
    }
}

/// The blocks of a text, whatever stands around them.
fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("-----BEGIN ")?;
        let (label, after) = after.split_once("-----")?;
        let (body, after) = after.split_once("-----END ")?;
        rest = after;
        Some(Block { label, body })
    })
}

/// Decodes base64 with white space in it (RFC 4648 §4).
fn base64(text: impl Iterator<Item = u8>) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::new());
    let (mut bits, mut count) = (0u32, 0u32);
    let mut padding = 0;
    for byte in text.filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    (padding <= 2 && count < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_as_rfc_4648_says() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm 9v\r\nYmFy", Some(b"foobar")),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("Zg==Zg==", None),
            ("Z", None),
            ("Zm9v!", None),
            ("Zg===", None),
        ] {
            assert_eq!(base64(text.bytes()).map(|out| out.to_vec()).as_deref(), bytes, "{text}");
        }
    }
}
