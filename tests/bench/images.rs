//! How fast an image reaches a node: the first load, and the load after one program changed, beside the import of the
//! whole archive by `ctr`, both into a real containerd of this run.
//!
//! It must not count the making of the archive that the peer reads: it gets a finished file.

use crate::report::{Goal, Report};
use kedactl_images::{
    ContainerdSocket, Content, ExtraFile, Image, Spec, Store, archive, build, load,
};
use kedactl_plan::Discard;
use kedactl_testkit::Containerd;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::time::Instant;

/// What does not change between builds.
const SHARED: usize = 100_000_000;
/// What does: a program of this size.
const CHANGING: usize = 10_000_000;
const TIMES: u8 = 5;

/// Images that differ in one file, and the folder that they are built in.
struct Bench {
    dir: TempDir,
    store: Store,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if !Containerd::can_run() {
        report.note("images: not measured, containerd needs root");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let bench = Bench {
        store: Store::new(dir.path().join("store")),
        dir,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    std::fs::write(bench.shared(), noise(SHARED, 1))?;
    bench.first_load(report)?;
    bench.reload(report)
}

impl Bench {
    fn first_load(&self, report: &mut Report) -> anyhow::Result<()> {
        let image = self.image(0)?;
        let (ours, theirs) = (Containerd::start(), Containerd::start());
        let took = self.load(&ours, &image)?;
        let peer = import(&theirs, &self.archive(&image)?)?;
        let peer = Some(("ctr-import", peer));
        report.figure(
            "images.first_load_110mb",
            took,
            "s",
            peer,
            Goal::AtMost(3.0),
        );
        Ok(())
    }

    fn reload(&self, report: &mut Report) -> anyhow::Result<()> {
        let node = Containerd::start();
        self.load(&node, &self.image(0)?)?;
        let (mut builds, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TIMES {
            let start = Instant::now();
            let image = self.image(1 + 2 * turn)?;
            builds.push(start.elapsed().as_secs_f64());
            ours.push(self.load(&node, &image)?);
            let other = self.image(2 + 2 * turn)?;
            theirs.push(import(&node, &self.archive(&other)?)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let peer = Some(("ctr-import", theirs));
        report.figure(
            "images.reload_one_program",
            ours,
            "s",
            peer,
            Goal::AtMost(1.0),
        );
        report.figure(
            "images.reload_ratio",
            ours,
            "s",
            peer,
            Goal::RatioAtMost(0.5),
        );
        report.figure("images.build_110mb", median(builds), "s", None, Goal::None);
        Ok(())
    }

    fn shared(&self) -> PathBuf {
        self.dir.path().join("shared")
    }

    fn image(&self, seed: u8) -> anyhow::Result<Image> {
        let mut spec = Spec::of_programs("kedactl.local/bench", &["/usr/bin/sort".into()]);
        spec.shared_files.push(ExtraFile {
            at: "/srv/shared".to_owned(),
            content: Content::File(self.shared()),
            executable: false,
        });
        spec.files.push(ExtraFile {
            at: "/srv/program".to_owned(),
            content: Content::Bytes(noise(CHANGING, seed.into())),
            executable: true,
        });
        Ok(build(&self.store, &spec)?)
    }

    /// Seconds from the first question to the last answer of the node.
    fn load(&self, node: &Containerd, image: &Image) -> anyhow::Result<f64> {
        let nodes = [ContainerdSocket::new(node.socket())];
        let start = Instant::now();
        let images = std::slice::from_ref(image);
        self.runtime
            .block_on(load(&self.store, images, &nodes, &Discard))?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn archive(&self, image: &Image) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join("archive.tar");
        let mut file = std::fs::File::create(&path)?;
        archive(&self.store, image, &BTreeSet::new(), &mut file)?;
        Ok(path)
    }
}

/// Seconds that `ctr` takes for a whole archive.
fn import(node: &Containerd, archive: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let output = node.ctr(&["images", "import", &archive.display().to_string()]);
    let took = start.elapsed().as_secs_f64();
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(took)
}

/// Bytes that do not compress, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(length / 8).flatten().collect()
}

fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}
