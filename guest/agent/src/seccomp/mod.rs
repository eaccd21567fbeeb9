//! The system calls that are out of reach of every process of the user (requirement A06): `rules` says which and why, `assemble`
//! makes a filter of them that the kernel runs. Decision 0019 has the reasons and the cost.

mod assemble;
#[cfg(test)]
mod interpret;
mod rules;

use std::sync::LazyLock;

use rules::{HIGHEST_CALL, RULES};

/// One instruction of classic BPF.
pub type Instruction = libc::sock_filter;

static FILTER: LazyLock<Vec<Instruction>> = LazyLock::new(|| assemble::filter(RULES, HIGHEST_CALL));

/// The filter of all user processes, made at its first use. A child between `fork` and `execve` must be given it, not ask for it.
#[must_use]
pub fn user_filter() -> &'static [Instruction] {
    &FILTER
}
