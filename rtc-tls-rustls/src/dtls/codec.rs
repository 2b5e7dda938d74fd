//! Reading and writing the TLS presentation language (RFC 5246 §4).

/// Bytes that do not have the form they should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads values one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u24(&mut self) -> Result<usize, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// A vector whose length is in one byte.
    pub(super) fn vec8(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A vector whose length is in two bytes.
    pub(super) fn vec16(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A vector whose length is in three bytes.
    pub(super) fn vec24(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u24()?;
        self.take(length)
    }

    /// A vector of 16-bit numbers whose length in bytes is in two bytes.
    pub(super) fn numbers(&mut self) -> Result<Numbers<'a>, Malformed> {
        let bytes = self.vec16()?;
        if bytes.len() % 2 == 0 { Ok(Numbers(bytes)) } else { Err(Malformed) }
    }

    /// Fails unless everything was read.
    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// 16-bit numbers as they came from the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = u16> + 'a {
        self.0.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    pub(super) fn contains(self, number: u16) -> bool {
        self.iter().any(|candidate| candidate == number)
    }
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The low 24 bits of `value`.
pub(super) fn put_u24(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&[(value >> 16) as u8, (value >> 8) as u8, value as u8]);
}

/// What `write` appends, with its length in one byte before it.
pub(super) fn put_vec8(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_vec::<1>(out, write);
}

/// What `write` appends, with its length in two bytes before it.
pub(super) fn put_vec16(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_vec::<2>(out, write);
}

/// What `write` appends, with its length in three bytes before it.
pub(super) fn put_vec24(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_vec::<3>(out, write);
}

fn put_vec<const N: usize>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; N]);
    write(out);
    let length = (out.len() - start - N).to_be_bytes();
    out[start..start + N].copy_from_slice(&length[length.len() - N..]);
}

pub(super) fn put_numbers(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u16>) {
    put_vec16(out, |out| {
        for number in numbers {
            put_u16(out, number);
        }
    });
}
