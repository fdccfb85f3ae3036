//! Drivers of the programs that make clusters and releases: helm and kind.
//!
//! Law: what a program prints is never trusted where its effect can be asked for; values and secrets reach it
//! by private files, and its output is masked before anybody sees it.
