//! Ends a stream to a node when nobody waits for it any more.
//! Must not be noticed by a load that runs to its end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lives in the future that waits; its drop tells the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// For a stream that shall fail when this one is gone.
    pub(super) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.0))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes to the thread that writes.
pub(super) struct Watch(Arc<AtomicBool>);

impl Watch {
    pub(super) fn over(self, out: &mut dyn Write) -> Watched<'_> {
        Watched { out, gone: self.0 }
    }
}

/// A stream that somebody waits for.
pub(super) struct Watched<'a> {
    out: &'a mut dyn Write,
    gone: Arc<AtomicBool>,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(io::Error::other("the load was given up"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_fails_when_nobody_waits() {
        let waiting = Waiting::default();
        let mut out = Vec::new();
        let mut stream = waiting.watch().over(&mut out);
        stream.write_all(b"a").unwrap();
        drop(waiting);
        stream.write_all(b"b").unwrap_err();
        assert_eq!(out, b"a");
    }
}
