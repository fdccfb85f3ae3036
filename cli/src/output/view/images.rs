//! Tables of images, of loads and of pushes.
//!
//! It must not shorten a name: it is what manifests and the next command are given.

use crate::output::style::{bad, count, good};
use crate::output::table::Table;
use kedactl_images::{Checked, How, Image, Loaded, Pushed};
use serde_json::{Value, json};

pub(crate) fn images(images: &[Image]) -> String {
    if images.is_empty() {
        return "no images\n".to_owned();
    }
    let mut table = Table::new(&["image", "size", "layers"]);
    for image in images {
        let layers: Vec<String> = image
            .layers
            .iter()
            .map(|layer| megabytes(layer.size))
            .collect();
        table.row([
            image.reference.to_string(),
            megabytes(image.size()),
            layers.join(" + "),
        ]);
    }
    table.text()
}

pub(crate) fn image_json(image: &Image) -> Value {
    let layer =
        |layer: &kedactl_images::Descriptor| json!({"digest": layer.digest, "size": layer.size});
    json!({
        "image": image.reference.to_string(),
        "digest": image.manifest.digest,
        "id": image.config.digest,
        "size": image.size(),
        "layers": image.layers.iter().map(layer).collect::<Vec<_>>(),
        "sbom": image.sbom.as_ref().and_then(|sbom| sbom.blobs.last()).map(|blob| &blob.digest),
    })
}

pub(crate) fn loaded(loaded: &[Loaded]) -> String {
    let mut table = Table::new(&["node", "image", "sent", "verified", "took"]);
    for it in loaded {
        let sent = match it.how {
            How::Present => "was there".to_owned(),
            How::Delta => format!("{}, the missing blobs", megabytes(it.sent)),
            How::Full => format!("{}, the whole image", megabytes(it.sent)),
        };
        let digest = it.digest.as_str()[..19].to_owned();
        table.row([
            it.node.clone(),
            it.image.clone(),
            sent,
            good(&digest),
            format!("{} ms", it.took_ms),
        ]);
    }
    table.text()
}

pub(crate) fn pushed(pushed: &[Pushed]) -> String {
    let mut table = Table::new(&["image", "digest", "sent", "was there"]);
    for it in pushed {
        let sent = format!("{} blobs, {}", it.sent, megabytes(it.sent_bytes));
        table.row([
            it.image.clone(),
            it.digest.to_string(),
            sent,
            format!("{} blobs", it.present),
        ]);
    }
    table.text()
}

pub(crate) fn checked(checked: &Checked) -> String {
    let mut text = format!(
        "{} images, {} blobs, {} read, {} needed by no image\n",
        checked.images,
        count(checked.blobs as u64),
        megabytes(checked.bytes),
        checked.unneeded
    );
    for problem in &checked.problems {
        text += &format!("{} {problem}\n", bad("damaged:"));
    }
    text
}

pub(crate) fn checked_json(checked: &Checked) -> Value {
    let problems: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
    json!({
        "schema": "kedactl.images.check/v1",
        "images": checked.images,
        "blobs": checked.blobs,
        "bytes": checked.bytes,
        "unneeded": checked.unneeded,
        "problems": problems,
    })
}

pub(crate) fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}
