//! The twelve requirements of a receiver that alerts depend on, each with the tests that are named after it.
//!
//! It must not hold a test of anything else.

mod r01_kept;
mod r02_refusals;
mod r03_once;
mod r04_one_message;
mod r05_rates;
mod r06_html;
mod r07_chats;
mod r08_poison;
mod r09_buttons;
mod r10_probes;
mod r11_limits;
mod r11_malformed;
mod r12_crashes;
