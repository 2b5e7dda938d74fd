//! Just enough of ELF to list what a shared library exports.

/// What a shared library says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exports {
    /// Defined, globally visible functions and objects.
    pub(crate) names: Vec<String>,
    pub(crate) soname: Option<String>,
    /// The library defines symbol versions.
    pub(crate) versioned: bool,
    /// The library demands an executable relocation of its text.
    pub(crate) text_relocations: bool,
    pub(crate) rpath: bool,
}

const SECTION_DYNSYM: u32 = 11;
const SECTION_DYNAMIC: u32 = 6;
const SECTION_VERDEF: u32 = 0x6fff_fffd;

struct Section {
    kind: u32,
    offset: usize,
    size: usize,
    link: usize,
}

struct File<'a>(&'a [u8]);

impl File<'_> {
    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        let slice = self.0.get(at..at.checked_add(bytes)?)?;
        Some(slice.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn place(&self, at: usize, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(at, bytes)?).ok()
    }

    fn text(&self, table: &Section, offset: usize) -> Option<String> {
        let bytes = self.0.get(table.offset.checked_add(offset)?..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
    }

    fn sections(&self) -> Option<Vec<Section>> {
        let (start, size, count) = (self.place(40, 8)?, self.place(58, 2)?, self.place(60, 2)?);
        (0..count)
            .map(|index| {
                let at = start + index * size;
                Some(Section {
                    kind: u32::try_from(self.number(at + 4, 4)?).ok()?,
                    offset: self.place(at + 24, 8)?,
                    size: self.place(at + 32, 8)?,
                    link: self.place(at + 40, 4)?,
                })
            })
            .collect()
    }
}

/// Reads a 64-bit little-endian shared library; `None` when it is something else.
pub(crate) fn exports(bytes: &[u8]) -> Option<Exports> {
    let file = File(bytes);
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let sections = file.sections()?;
    let mut exports = Exports::default();
    for section in &sections {
        match section.kind {
            SECTION_DYNSYM => {
                let strings = sections.get(section.link)?;
                for at in (section.offset..section.offset + section.size).step_by(24) {
                    let binding = file.number(at + 4, 1)? >> 4;
                    let visibility = file.number(at + 5, 1)? & 3;
                    let defined = file.number(at + 6, 2)? != 0;
                    if defined && (binding == 1 || binding == 2) && visibility == 0 {
                        exports.names.push(file.text(strings, file.place(at, 4)?)?);
                    }
                }
            }
            SECTION_DYNAMIC => {
                let strings = sections.get(section.link)?;
                for at in (section.offset..section.offset + section.size).step_by(16) {
                    let value = file.place(at + 8, 8)?;
                    match file.number(at, 8)? {
                        14 => exports.soname = Some(file.text(strings, value)?),
                        15 | 29 => exports.rpath = true,
                        22 => exports.text_relocations = true,
                        _ => {}
                    }
                }
            }
            SECTION_VERDEF => exports.versioned = true,
            _ => {}
        }
    }
    exports.names.sort();
    Some(exports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_exports_malloc_with_versions() {
        let paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];
        let Some(bytes) = paths.iter().find_map(|path| std::fs::read(path).ok()) else { return };
        let exports = exports(&bytes).expect("an ELF file");
        assert!(exports.names.binary_search(&"malloc".to_owned()).is_ok());
        assert_eq!(exports.soname.as_deref(), Some("libc.so.6"));
        assert!(exports.versioned);
    }

    #[test]
    fn junk_is_no_library() {
        assert_eq!(exports(b""), None);
        assert_eq!(exports(b"\x7fELF\x02\x01"), None);
        assert_eq!(exports(&[0x7f; 200]), None);
    }
}
