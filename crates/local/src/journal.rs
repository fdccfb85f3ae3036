//! The journal: every reading, decision and process event, one JSON object a line, bounded in size.
//! Must not be read by the supervisor: it is for people and for replay.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::LocalError;
use crate::layout::fail;

/// Size at which the journal becomes `journal.jsonl.1`; one old file is kept.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// An append-only file with one predecessor.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: Mutex::new(None),
        }
    }

    /// Appends `{"at":…,"event":…,…fields}`.
    pub(crate) fn record(&self, at: u64, event: &str, fields: Value) -> Result<(), LocalError> {
        let mut line = Map::new();
        line.insert("at".to_owned(), at.into());
        line.insert("event".to_owned(), event.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let mut bytes = Value::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|(_, size)| *size >= MOST_BYTES) {
            *slot = Some(self.open()?);
        }
        if let Some((file, size)) = slot.as_mut() {
            // One write for the whole line, so that a kill leaves no half of one.
            file.write_all(&bytes).map_err(fail("write", &self.path))?;
            *size += bytes.len() as u64;
        }
        Ok(())
    }

    fn open(&self) -> Result<(File, u64), LocalError> {
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= MOST_BYTES) {
            let old = self.path.with_extension("jsonl.1");
            fs::rename(&self.path, old).map_err(fail("rotate", &self.path))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(fail("open", &self.path))?;
        let size = file.metadata().map_err(fail("read", &self.path))?.len();
        Ok((file, size))
    }
}
