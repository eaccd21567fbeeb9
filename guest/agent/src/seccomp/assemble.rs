//! From rules to classic BPF. The numbers are searched by halves: the kernel runs a new filter once for each system call there
//! is, to learn which are always allowed and need it no more, so its depth is what the start of a process pays for.

use std::ffi::c_long;

use libc::{ENOSYS, EPERM};

use super::rules::{verdict, Verdict};
use super::Instruction;

/// `AUDIT_ARCH_X86_64` of linux/audit.h: 64-bit code on this processor. 32-bit code has another value.
pub const ARCHITECTURE: u32 = 0xc000_003e;

/// Offsets in `struct seccomp_data` (linux/seccomp.h), little-endian.
pub const NUMBER_AT: u32 = 0;
pub const ARCHITECTURE_AT: u32 = 4;
pub const ARGUMENT_AT: u32 = 16;

/// Codes of linux/bpf_common.h: a load of 32 bits, jumps by comparison with a constant, the end with a constant.
pub const LOAD: u16 = 0x20;
pub const JUMP_IF_EQUAL: u16 = 0x15;
pub const JUMP_IF_NOT_BELOW: u16 = 0x35;
pub const JUMP_IF_ANY_BIT: u16 = 0x45;
pub const RETURN: u16 = 0x06;

/// `SECCOMP_RET_ALLOW` and, with the error in the lower half, `SECCOMP_RET_ERRNO` (linux/seccomp.h).
pub const ALLOW: u32 = 0x7fff_0000;
pub const ERRNO: u32 = 0x0005_0000;

/// From this number to the next range's, one verdict.
struct Range {
    from: u32,
    verdict: Verdict,
}

pub fn filter(rules: &[(c_long, Verdict)], highest: c_long) -> Vec<Instruction> {
    let mut program = vec![
        plain(LOAD, ARCHITECTURE_AT),
        jump(JUMP_IF_EQUAL, ARCHITECTURE, 1, 0),
        deny(ENOSYS),
        plain(LOAD, NUMBER_AT),
    ];
    program.extend(search(&ranges(rules, highest)));
    program
}

/// The verdicts of all numbers, from 0 on. Neighbours that agree are one range, and what lies beyond the highest call is the last one.
fn ranges(rules: &[(c_long, Verdict)], highest: c_long) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for (from, call) in (0_u32..).zip(0..=highest + 1) {
        let verdict = verdict(rules, highest, call);
        if ranges.last().is_none_or(|last| last.verdict != verdict) {
            ranges.push(Range { from, verdict });
        }
    }
    ranges
}

/// Instructions that find the range of the loaded number and end with its verdict.
fn search(ranges: &[Range]) -> Vec<Instruction> {
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let Some(first) = above.first() else {
        return Vec::new();
    };
    if below.is_empty() {
        return leaf(first.verdict);
    }
    let (from, below, above) = (first.from, search(below), search(above));
    let mut program = vec![jump(JUMP_IF_NOT_BELOW, from, below.len(), 0)];
    program.extend(below);
    program.extend(above);
    program
}

fn leaf(verdict: Verdict) -> Vec<Instruction> {
    match verdict {
        Verdict::Allow => vec![plain(RETURN, ALLOW)],
        Verdict::Deny(errno) => vec![deny(errno)],
        Verdict::DenyBits(bits) => {
            vec![plain(LOAD, ARGUMENT_AT), jump(JUMP_IF_ANY_BIT, bits, 1, 0), plain(RETURN, ALLOW), deny(EPERM)]
        }
        Verdict::AllowValues(values) => {
            let mut program = vec![plain(LOAD, ARGUMENT_AT)];
            let jumps = values.iter().zip((1..=values.len()).rev());
            program.extend(jumps.map(|(value, to_allow)| jump(JUMP_IF_EQUAL, *value, to_allow, 0)));
            program.extend([deny(EPERM), plain(RETURN, ALLOW)]);
            program
        }
    }
}

fn deny(errno: i32) -> Instruction {
    plain(RETURN, ERRNO | errno.unsigned_abs())
}

fn plain(code: u16, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

/// A jump passes over `yes` or `no` instructions. One that is too long for its eight bits is made to leave the program, which
/// the kernel refuses: there would be no processes rather than processes with a wrong filter.
fn jump(code: u16, k: u32, yes: usize, no: usize) -> Instruction {
    let short = |distance: usize| u8::try_from(distance).ok();
    match (short(yes), short(no)) {
        (Some(jt), Some(jf)) => Instruction { code, jt, jf, k },
        _ => Instruction { code: u16::MAX, jt: u8::MAX, jf: u8::MAX, k },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::interpret::{run, Call};
    use super::super::rules::{verdict, Verdict, HIGHEST_CALL, RULES};
    use super::super::user_filter;
    use super::{filter, ALLOW, ARCHITECTURE, ARGUMENT_AT, ERRNO};

    const X32: u32 = 0x4000_0000;
    /// Answers of `EPERM` and `ENOSYS`.
    const REFUSED: u32 = 0x0005_0001;
    const ABSENT: u32 = 0x0005_0026;
    /// `SIGCHLD`, which a child of `fork` ends with.
    const FORK: u64 = 0x11;

    fn result(call: u32, argument: u64) -> u32 {
        run(user_filter(), &Call { architecture: ARCHITECTURE, number: call, argument }).result
    }

    fn expected(call: u32, argument: u64) -> u32 {
        let low = u32::try_from(argument & 0xffff_ffff).unwrap();
        let errno = match verdict(RULES, HIGHEST_CALL, i64::from(call)) {
            Verdict::Allow => None,
            Verdict::Deny(errno) => Some(errno),
            Verdict::DenyBits(bits) => (low & bits != 0).then_some(libc::EPERM),
            Verdict::AllowValues(values) => (!values.contains(&low)).then_some(libc::EPERM),
        };
        errno.map_or(ALLOW, |errno| ERRNO | errno.unsigned_abs())
    }

    #[test]
    fn every_number_has_the_verdict_of_its_rule() {
        for call in (0..2_000).chain([X32, X32 + 1, u32::MAX]) {
            for argument in [0, 0x11, 0x80, 0x1000_0000, 0x0200_0000, 0x0002_0000, 0x0004_0000, u64::MAX] {
                assert_eq!(result(call, argument), expected(call, argument), "call {call} with {argument:#x}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_call_has_the_verdict_of_its_rule(call: u32, known in 0_u32..470, argument: u64) {
            prop_assert_eq!(result(call, argument), expected(call, argument));
            prop_assert_eq!(result(known, argument), expected(known, argument));
        }

        #[test]
        fn any_rules_are_kept(denied in prop::collection::btree_set(0_i64..100, 0..60), errno in 1_i32..134) {
            let rules: Vec<_> = denied.iter().map(|call| (*call, Verdict::Deny(errno))).collect();
            let program = filter(&rules, 99);
            for number in 0_u32..120 {
                let result = run(&program, &Call { architecture: ARCHITECTURE, number, argument: 0 }).result;
                let errno = if number > 99 { libc::ENOSYS } else { errno };
                let refused = number > 99 || denied.contains(&i64::from(number));
                prop_assert_eq!(result, if refused { ERRNO | errno.unsigned_abs() } else { ALLOW });
            }
        }

        #[test]
        fn code_that_is_not_64_bit_has_no_calls(architecture: u32, number in 0_u32..470) {
            prop_assume!(architecture != ARCHITECTURE);
            let result = run(user_filter(), &Call { architecture, number, argument: 0 }).result;
            prop_assert_eq!(result, ERRNO | libc::ENOSYS.unsigned_abs());
        }
    }

    #[test]
    fn namespaces_cannot_be_made_and_threads_can() {
        let call = |number: i64| u32::try_from(number).unwrap();
        // What glibc asks for a thread, and for `posix_spawn`.
        for flags in [0x003d_0f00, 0x4111, FORK] {
            assert_eq!(result(call(libc::SYS_clone), flags), ALLOW);
        }
        for flag in [libc::CLONE_NEWNS, libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWPID] {
            let flag = u64::from(flag.unsigned_abs());
            assert_eq!(result(call(libc::SYS_clone), flag | FORK), REFUSED);
            assert_eq!(result(call(libc::SYS_unshare), flag), REFUSED);
            // A bit that the kernel does not look at hides nothing.
            assert_eq!(result(call(libc::SYS_clone), flag | 1 << 40), REFUSED);
        }
        assert_eq!(result(call(libc::SYS_unshare), 0x200), ALLOW);
        assert_eq!(result(call(libc::SYS_clone3), 0), ABSENT);
    }

    /// The kernel asks no more about a call whose number alone decides for it (`seccomp_is_const_allow`).
    #[test]
    fn what_is_always_allowed_is_so_by_its_number_and_soon() {
        let asked = [libc::SYS_clone, libc::SYS_unshare, libc::SYS_personality];
        for number in 0..=u32::try_from(HIGHEST_CALL).unwrap() {
            let run = run(user_filter(), &Call { architecture: ARCHITECTURE, number, argument: 0 });
            let with_argument = run.loaded.contains(&ARGUMENT_AT);
            assert_eq!(with_argument, asked.contains(&i64::from(number)), "call {number}");
            assert!(run.steps <= 16, "call {number} takes {} steps", run.steps);
        }
    }

    #[test]
    fn no_rule_stands_twice_or_beyond_the_highest_call() {
        let mut numbers: Vec<_> = RULES.iter().map(|(number, _)| *number).collect();
        assert!(numbers.iter().all(|number| (0..=HIGHEST_CALL).contains(number)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), RULES.len());
    }

    /// No verdict is a kill, a trap or a tracer's: a program is told no, and goes on.
    #[test]
    fn every_end_is_an_answer() {
        let ends = user_filter().iter().filter(|each| each.code == super::RETURN);
        assert!(ends.clone().count() > 2);
        for end in ends {
            assert!(end.k == ALLOW || [REFUSED, ABSENT].contains(&end.k), "{:#x}", end.k);
        }
    }

    #[test]
    fn the_kernel_takes_it() {
        assert_eq!(crate::sys::seccomp::probe(user_filter()).unwrap(), libc::EPERM);
    }
}
