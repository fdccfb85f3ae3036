//! How fast an image reaches a node: the first load, and the load after one program changed, beside the import of the
//! whole archive by `ctr`, both into a real containerd of this run; and into a real kind cluster beside `kind load
//! image-archive`, where it runs as `tests/cluster/lab exec -- cargo xtask bench images`.
//!
//! It must not count the making of the archive that the peer reads: it gets a finished file.

use crate::report::{Goal, Report};
use kedactl_exec::Run;
use kedactl_images::{
    ContainerdSocket, Content, DockerContainer, ExtraFile, Image, NodeShell, Spec, Store, archive,
    build, kind_nodes, load,
};
use kedactl_plan::Discard;
use kedactl_testkit::Containerd;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
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
    let node = Containerd::start();
    let own = [ContainerdSocket::new(node.socket())];
    let peer = ("ctr-import", |archive: &Path| import(&node, archive));
    bench.reload(report, "images", &own, peer)?;
    let Some(cluster) = cluster() else {
        report.note("images.kind: not measured, no test cluster: `tests/cluster/lab exec -- …`");
        return Ok(());
    };
    let nodes = bench
        .runtime
        .block_on(kind_nodes(Path::new("docker"), &cluster))?;
    let peer = ("kind-load", |archive: &Path| kind_load(&cluster, archive));
    let reloaded = bench.reload(report, "images.kind", &nodes, peer);
    nodes.iter().try_for_each(take_away)?;
    reloaded
}

#[expect(clippy::disallowed_methods, reason = "the one setting of this suite")]
fn cluster() -> Option<String> {
    std::env::var("KEDACTL_TEST_CLUSTER").ok()
}

impl Bench {
    fn first_load(&self, report: &mut Report) -> anyhow::Result<()> {
        let image = self.image(0)?;
        let (ours, theirs) = (Containerd::start(), Containerd::start());
        let took = self.load(&[ContainerdSocket::new(ours.socket())], &image)?;
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

    /// Two images in turn that differ in one program: one by us, one by the peer.
    fn reload<N: NodeShell + Clone>(
        &self,
        report: &mut Report,
        prefix: &str,
        node: &[N],
        (named, import): (&'static str, impl Fn(&Path) -> anyhow::Result<f64>),
    ) -> anyhow::Result<()> {
        self.load(node, &self.image(0)?)?;
        let (mut builds, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TIMES {
            let start = Instant::now();
            let image = self.image(1 + 2 * turn)?;
            builds.push(start.elapsed().as_secs_f64());
            ours.push(self.load(node, &image)?);
            let other = self.image(2 + 2 * turn)?;
            theirs.push(import(&self.archive(&other)?)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let peer = Some((named, theirs));
        let (whole, ratio) = (Goal::AtMost(1.0), Goal::RatioAtMost(0.5));
        let name = |what: &str| format!("{prefix}.{what}");
        report.figure(&name("reload_one_program"), ours, "s", peer, whole);
        report.figure(&name("reload_ratio"), ours, "s", peer, ratio);
        report.figure(&name("build_110mb"), median(builds), "s", None, Goal::None);
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
    fn load<N: NodeShell + Clone>(&self, nodes: &[N], image: &Image) -> anyhow::Result<f64> {
        let start = Instant::now();
        let images = std::slice::from_ref(image);
        self.runtime
            .block_on(load(&self.store, images, nodes, &Discard))?;
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

/// Seconds that kind takes to bring a whole archive to the nodes of a cluster.
fn kind_load(cluster: &str, archive: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let archive = archive.display().to_string();
    let load = ["load", "image-archive", "--name", cluster, &archive];
    Run::new("kind")
        .args(load)
        .within(Duration::from_mins(2))
        .run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The node is shared: nothing of this run stays on it.
fn take_away(node: &DockerContainer) -> anyhow::Result<()> {
    let script = "ctr -n k8s.io images ls -q | grep -F kedactl.local/bench | xargs ctr -n k8s.io images rm --sync";
    Run::new(&node.engine)
        .args(["exec", &node.container, "sh", "-c", script])
        .run()?;
    Ok(())
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
