//! Parameters and error causes: both are type, length, value (RFC 9260 §3.2.1).

use super::{be16, padded};

/// A parameter or an error cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
    /// The parameter with its header, without padding.
    pub(crate) whole: &'a [u8],
}

/// Iterator over parameters, up to the first whose length field cannot be true.
#[derive(Clone, Debug)]
pub(crate) struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let kind = be16(rest, 0)?;
        let length = usize::from(be16(rest, 2)?);
        let whole = rest.get(..length)?;
        let value = whole.get(4..)?;
        self.rest = rest.get(padded(length)..).unwrap_or_default();
        Some(Parameter { kind, value, whole })
    }
}
