//! What a bundle holds, with sizes, and what a verification found.
//!
//! It must not judge: problems come in as the library words them.

use super::images::megabytes;
use crate::output::style::{bad, count, good};
use crate::output::table::Table;
use kedactl_bundle::{Bundle, Contents, Origin, Verified};
use kedactl_images::ImageError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A bundle with the sizes of its parts.
#[derive(Debug)]
pub(crate) struct Shown {
    digest: String,
    path: String,
    contents: Contents,
    /// Bytes of all images' blobs, each counted once.
    stored: u64,
}

impl Shown {
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, ImageError> {
        let images = bundle.images()?;
        let blobs = images.iter().flat_map(kedactl_images::Image::blobs);
        let once: BTreeMap<_, u64> = blobs.map(|blob| (&blob.digest, blob.size)).collect();
        Ok(Self {
            digest: bundle.digest().to_string(),
            path: bundle.path().display().to_string(),
            contents: bundle.contents().clone(),
            stored: once.values().sum(),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Table::new(&["part", "name", "digest", "size", "from"]);
        for chart in &self.contents.charts {
            let name = format!(
                "{} {} (release {})",
                chart.name, chart.version, chart.release
            );
            table.row([
                "chart".into(),
                name,
                short(chart.archive.as_str()),
                megabytes(chart.size),
                chart.source.clone(),
            ]);
        }
        for (name, digest) in &self.contents.own_charts {
            let digest = digest[..12].to_owned();
            table.row([
                "chart".into(),
                name.clone(),
                digest,
                "-".into(),
                "part of kedactl".into(),
            ]);
        }
        for image in &self.contents.images {
            let from = match image.origin {
                Origin::Registry => "its registry",
                Origin::Archive => "a file",
                Origin::Built => "made from programs",
            };
            let digest = short(image.digest.as_str());
            table.row([
                "image".into(),
                image.image.to_string(),
                digest,
                megabytes(image.size),
                from.into(),
            ]);
        }
        let mut text = table.text();
        for left in &self.contents.without {
            text += &format!("left out on purpose: {left}\n");
        }
        text + &self.sum()
    }

    fn sum(&self) -> String {
        let Contents {
            charts,
            images,
            platform,
            kedactl,
            ..
        } = &self.contents;
        let whole: u64 = images.iter().map(|it| it.size).sum();
        format!(
            "{}: {}, {} for {platform}, {} as stored ({} without shared layers), kedactl {kedactl}\n{}\n",
            self.path,
            number(charts.len() + self.contents.own_charts.len(), "chart"),
            number(images.len(), "image"),
            megabytes(self.stored + charts.iter().map(|it| it.size).sum::<u64>()),
            megabytes(whole),
            self.digest,
        )
    }

    pub(crate) fn json(&self, schema: &str) -> Value {
        let mut value = json!(self.contents);
        value["schema"] = schema.into();
        value["digest"] = self.digest.as_str().into();
        value["path"] = self.path.as_str().into();
        value["stored"] = self.stored.into();
        value
    }
}

fn number(of: usize, what: &str) -> String {
    let end = if of == 1 { "" } else { "s" };
    format!("{of} {what}{end}")
}

fn short(digest: &str) -> String {
    digest.chars().take(19).collect()
}

pub(crate) fn verified(bundle: &Bundle, verified: &Verified) -> String {
    let mut text = format!(
        "{} blobs, {} read and hashed; {} objects rendered, which lead to {}\n",
        count(verified.blobs as u64),
        megabytes(verified.bytes),
        count(verified.objects as u64),
        number(verified.images, "image"),
    );
    for problem in &verified.problems {
        text += &format!("{} {problem}\n", bad("wrong:"));
    }
    if verified.problems.is_empty() {
        text += &format!(
            "{} everything is inside {}\n",
            good("proven:"),
            bundle.digest()
        );
    }
    text
}

pub(crate) fn verified_json(bundle: &Bundle, verified: &Verified) -> Value {
    let problems: Vec<String> = verified.problems.iter().map(ToString::to_string).collect();
    json!({
        "schema": "kedactl.bundle.verify/v1",
        "digest": bundle.digest(),
        "blobs": verified.blobs,
        "bytes": verified.bytes,
        "objects": verified.objects,
        "images": verified.images,
        "problems": problems,
    })
}
