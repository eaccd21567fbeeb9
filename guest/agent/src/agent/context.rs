//! A context: one REPL of one language, and the runs that take turns in it.

use std::collections::VecDeque;

use super::live_repl::LiveRepl;
use crate::wire::request::Language;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContextKey {
    pub language: Language,
    pub name: String,
}

#[derive(Default)]
pub struct Context {
    pub repl: Option<LiveRepl>,
    /// The run whose turn it is.
    pub active: Option<u32>,
    pub queue: VecDeque<u32>,
    /// `start` requests that wait for `R`.
    pub waiters: Vec<u32>,
    /// The REPL ended between two runs, and nobody has been told: the next run's result tells that the state is gone.
    pub lost: bool,
}

impl Context {
    /// Nothing would be forgotten without it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.repl.is_none() && self.active.is_none() && self.queue.is_empty() && self.waiters.is_empty() && !self.lost
    }
}
