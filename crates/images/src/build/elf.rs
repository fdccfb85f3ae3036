//! What a program or library says about itself: its loader, the libraries it needs, and where it looks for them.
//! Must not look at any other file.

use std::path::Path;

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB};
use object::elf::{EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, FileKind, StringTable};

use crate::ImageError;

/// The part of an ELF file that decides what must lie beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    /// The machine as images name it: `amd64`, `arm64`.
    pub(crate) architecture: &'static str,
    /// The loader of a program; a static program and a library have none.
    pub(crate) interpreter: Option<String>,
    /// Libraries by name, in the order of the file.
    pub(crate) needed: Vec<String>,
    /// Folders to look in before all others, inherited by what is loaded; empty where `runpath` is given.
    pub(crate) rpath: Vec<String>,
    /// Folders to look in for the file's own needs.
    pub(crate) runpath: Vec<String>,
}

impl Elf {
    /// Reads the file's bytes.
    pub(crate) fn parse(path: &Path, data: &[u8]) -> Result<Self, ImageError> {
        let wrong = |reason: &str| ImageError::Program {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let parsed = match FileKind::parse(data) {
            Ok(FileKind::Elf64) => read::<object::elf::FileHeader64<Endianness>>(data),
            Ok(FileKind::Elf32) => read::<object::elf::FileHeader32<Endianness>>(data),
            Ok(_) | Err(_) => return Err(wrong("it is not an ELF file")),
        };
        match parsed {
            Ok(Some(elf)) => Ok(elf),
            Ok(None) => Err(wrong(
                "it is for a machine that no image platform is known for",
            )),
            Err(error) => Err(wrong(&format!("its ELF structure is damaged: {error}"))),
        }
    }
}

fn read<E: FileHeader<Endian = Endianness>>(data: &[u8]) -> object::Result<Option<Elf>> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let Some(architecture) = architecture(header.e_machine(endian)) else {
        return Ok(None);
    };
    let mut elf = Elf {
        architecture,
        interpreter: None,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
    };
    let segments = header.program_headers(endian, data)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            elf.interpreter = Some(text(interpreter));
        }
        let Some(dynamic) = segment.dynamic(endian, data)? else {
            continue;
        };
        let value = |tag| {
            let found = dynamic.iter().find(|it| it.tag(endian) == tag);
            found.map(|it| it.val(endian))
        };
        let strings = strings::<E>(endian, data, segments, value(DT_STRTAB), value(DT_STRSZ));
        for entry in dynamic {
            let into = match entry.tag(endian) {
                DT_NEEDED => &mut elf.needed,
                DT_RPATH => &mut elf.rpath,
                DT_RUNPATH => &mut elf.runpath,
                _ => continue,
            };
            into.push(text(entry.string(endian, strings)?));
        }
    }
    elf.runpath = folders(&elf.runpath);
    // As the loader does: RUNPATH switches RPATH off.
    elf.rpath = if elf.runpath.is_empty() {
        folders(&elf.rpath)
    } else {
        Vec::new()
    };
    Ok(Some(elf))
}

/// The string table that the dynamic section names by its address in memory.
fn strings<'data, E: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    data: &'data [u8],
    segments: &[E::ProgramHeader],
    address: Option<u64>,
    size: Option<u64>,
) -> StringTable<'data> {
    let (Some(address), Some(size)) = (address, size) else {
        return StringTable::default();
    };
    for segment in segments {
        if segment.p_type(endian) == object::elf::PT_LOAD
            && let Ok(Some(bytes)) = segment.data_range(endian, data, address, size)
        {
            return StringTable::new(bytes, 0, bytes.len() as u64);
        }
    }
    StringTable::default()
}

fn architecture(machine: u16) -> Option<&'static str> {
    match machine {
        EM_X86_64 => Some("amd64"),
        EM_AARCH64 => Some("arm64"),
        EM_ARM => Some("arm"),
        EM_RISCV => Some("riscv64"),
        _ => None,
    }
}

fn folders(lists: &[String]) -> Vec<String> {
    let all = lists.iter().flat_map(|list| list.split(':'));
    all.filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_needs_a_loader_and_libc() {
        let path = std::env::current_exe().unwrap();
        let elf = Elf::parse(&path, &std::fs::read(&path).unwrap()).unwrap();
        assert!(
            elf.needed.iter().any(|name| name.starts_with("libc.")),
            "{elf:?}"
        );
        assert!(elf.interpreter.is_some_and(|path| path.starts_with('/')));
    }

    #[test]
    fn what_is_cut_or_no_program_is_refused_without_a_panic() {
        let path = std::env::current_exe().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 3, 4, 16, 63, 64, 100, 512, 1_000] {
            assert!(Elf::parse(&path, &whole[..length]).is_err(), "{length}");
        }
        let error = Elf::parse(Path::new("run.sh"), b"#!/bin/sh\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "run.sh cannot go into an image: it is not an ELF file"
        );
    }
}
