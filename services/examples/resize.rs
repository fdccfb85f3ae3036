//! A worker of a user's own: `resize` scales images (binary PPM, so that the example needs no image crate).
//!
//! It must not be complete software; it shows a typed payload, progress, cancellation, retries and a result.
//!
//! Run it with the flags of `kedactl-worker`, then send
//! `{"type":"resize","payload":{"source":"/data/in.ppm","target":"/data/out.ppm","width":320}}`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kedactl_services::worker::{self, Context, Failure};
use serde::{Deserialize, Serialize};

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resize {
    source: PathBuf,
    target: PathBuf,
    /// The new width in pixels; the height follows.
    width: usize,
}

/// What `GET /v1/tasks/{id}` shows when it is done.
#[derive(Debug, Serialize)]
struct Resized {
    width: usize,
    height: usize,
}

struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

fn main() -> ExitCode {
    worker::main(|worker| worker.builtin().handle("resize", resize))
}

async fn resize(job: Resize, task: Context) -> Result<Resized, Failure> {
    if job.width == 0 || job.width > 10_000 {
        // The payload will be as wrong next time: no retry.
        return Err(Failure::dead("`width` must be from 1 to 10000"));
    }
    // A missing file may only be late: `?` makes it another attempt after the backoff.
    let image = parse(&std::fs::read(&job.source)?)?;
    let height = (image.height * job.width / image.width).max(1);
    let mut rgb = Vec::with_capacity(job.width * height * 3);
    for y in 0..height {
        if task.is_cancelled() {
            return Err(Failure::dead("cancelled"));
        }
        if y % 64 == 0 {
            task.progress(&(y * 100 / height));
        }
        let from_y = y * image.height / height;
        for x in 0..job.width {
            let at = (from_y * image.width + x * image.width / job.width) * 3;
            rgb.extend_from_slice(&image.rgb[at..at + 3]);
        }
    }
    save(
        &job.target,
        &Image {
            width: job.width,
            height,
            rgb,
        },
    )?;
    Ok(Resized {
        width: job.width,
        height,
    })
}

/// A task may run twice: the target appears whole or not at all, and a second run writes the same bytes.
fn save(target: &Path, image: &Image) -> std::io::Result<()> {
    let part = target.with_extension("part");
    let mut bytes = format!("P6\n{} {}\n255\n", image.width, image.height).into_bytes();
    bytes.extend_from_slice(&image.rgb);
    std::fs::write(&part, bytes)?;
    std::fs::rename(part, target)
}

fn parse(bytes: &[u8]) -> Result<Image, Failure> {
    let bad = || Failure::dead("the source is no binary PPM with 255 levels");
    let mut at = 0;
    let mut word = || {
        let start = at
            + bytes
                .get(at..)?
                .iter()
                .position(|b| !b.is_ascii_whitespace())?;
        let end = start + bytes[start..].iter().position(u8::is_ascii_whitespace)?;
        at = end;
        std::str::from_utf8(&bytes[start..end]).ok()
    };
    if word() != Some("P6") {
        return Err(bad());
    }
    let mut number = || {
        word()?
            .parse::<usize>()
            .ok()
            .filter(|n| (1..=65_535).contains(n))
    };
    let (width, height, levels) = (
        number().ok_or_else(bad)?,
        number().ok_or_else(bad)?,
        number().ok_or_else(bad)?,
    );
    let rgb = bytes.get(at + 1..).unwrap_or_default();
    if levels != 255 || rgb.len() != width * height * 3 {
        return Err(bad());
    }
    Ok(Image {
        width,
        height,
        rgb: rgb.to_vec(),
    })
}
