//! kedactl.yaml and its layers, read into checked types; each value remembers who set it.
//! Law: no I/O except through a [`FileReader`] handed in; YAML in and out lives only here;
//! defaults stand in `values/`, never in code.

mod check;
mod cross;
mod effective;
mod embedded;
mod error;
mod format;
mod free;
mod load;
mod merge;
mod model;
mod near;
mod paths;
mod provider;
mod quantity;
mod schema;
mod set;
mod show;
mod source;
mod tree;
mod yaml;

pub use embedded::{VALUES, environments, profiles};
pub use error::{ConfigError, Problem};
pub use format::{is_label_value, objective};
pub use load::{FileReader, Loaded, Request, SetArg, Whole, load};
pub use model::*;
pub use near::nearest;
pub use quantity::parse_milli;
pub use schema::schema;
pub use source::{Layer, Origin};
pub use yaml::{Limits, documents, scalar_text, to_yaml};
