//! What can go wrong with a bundle, and what to do about it.
//! Must not decide exit codes.

use std::io;
use std::path::{Path, PathBuf};

use kedactl_images::ImageError;
use kedactl_render::RenderError;
use kedactl_tools::ToolError;

use crate::Place;

/// Why a bundle could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// helm or a chart.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The templates.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// An image that objects lead to could not be had.
    #[error("{image} could not be had; it is named in {place}")]
    NotHad {
        /// The image.
        image: String,
        /// Where it stands.
        place: Box<Place>,
        /// Whether the text may be something else.
        doubtful: bool,
        /// Why.
        source: Box<ImageError>,
    },
    /// A text in the place of an image's name.
    #[error("`{text}` is no image that could be bundled; it stands in {place}")]
    NoName {
        /// The text.
        text: String,
        /// Where it stands.
        place: Box<Place>,
    },
    /// A file or folder that is no bundle.
    #[error("{} is no bundle: {reason}", path.display())]
    NoBundle {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The bundle was made by another version of this program.
    #[error("{} was made by kedactl {made}, and this is {here}", path.display())]
    Foreign {
        /// The bundle.
        path: PathBuf,
        /// The version that made it.
        made: String,
        /// This version.
        here: String,
    },
    /// A chart that would have to be fetched.
    #[error("release {release} has a chart that is not in the bundle: {chart}")]
    Fetched {
        /// The release.
        release: String,
        /// The chart, as it is declared.
        chart: String,
    },
    /// There is something else in the place of the bundle to be made.
    #[error("{} is there already and is no bundle", path.display())]
    Taken {
        /// The file or folder.
        path: PathBuf,
    },
    /// An archive that is no chart.
    #[error("the chart of release {release} cannot be read: {reason}")]
    Chart {
        /// The release.
        release: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be used.
    #[error("could not {action} {}", path.display())]
    File {
        /// "read", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

impl BundleError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Image(error) => return error.hint(),
            Self::Tool(error) => return error.hint(),
            Self::Render(error) => return error.hint.clone(),
            Self::NotHad { doubtful: true, image, .. } => format!(
                "if this text is no image, or is never used: --without {image}, which the bundle will tell; --from-archive FILE takes it from a file"
            ),
            Self::NotHad { source, .. } => return source.hint().or_else(|| Some(
                "check the name and `docker login`; images.mirrors names another registry, --from-archive FILE takes it from a file of `docker save`".to_owned(),
            )),
            Self::NoName { .. } => "name the image in the values of that release".to_owned(),
            Self::NoBundle { .. } => "`kedactl bundle create PATH` makes one".to_owned(),
            Self::Foreign { made, .. } => format!(
                "use kedactl {made}, or make the bundle again with this one"
            ),
            Self::Fetched { .. } => {
                "what lies above the bundle (-f, --set) may change values, not charts; make the bundle again with that chart".to_owned()
            }
            Self::Taken { .. } => "choose another path, or remove it".to_owned(),
            Self::Chart { .. } | Self::File { .. } => return None,
        };
        Some(hint)
    }

    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::file("read", path)
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::file("write", path)
    }

    fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
