//! The webhook: Alertmanager's notifications in, Telegram's messages out.
//!
//! It must not answer 2xx before a notification is kept, nor 4xx for anything that the next attempt could mend.

mod accept;
mod alertmanager;
mod bot;
mod deliver;
pub(crate) mod metrics;
mod notice;
mod pages;
mod press;
mod process;
mod ready;
mod routes;
mod state;
mod trace;

pub use process::{main, run};
pub use routes::{Route, Routes};
