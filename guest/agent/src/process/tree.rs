//! Who descends from whom: read from /proc when something is to be ended with all that it has started. A snapshot is old as
//! soon as it is taken; whoever needs certainty takes another.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::time::Duration;

use rustix::process::Pid;

use crate::sys::signals::signal_group;

/// Ticks of starttime in /proc/pid/stat: USER_HZ is 100 on every Linux that programs see.
const TICK: Duration = Duration::from_millis(10);

/// The first process of the kernel's own threads.
const KTHREADD: i32 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    threads: u64,
    /// Since the boot.
    started: Duration,
}

/// The processes of the machine, but for PID 1 and the kernel's.
#[derive(Debug, Default)]
pub struct Tree {
    entries: HashMap<i32, Entry>,
}

impl Tree {
    #[must_use]
    pub fn read() -> Self {
        let names = fs::read_dir("/proc").into_iter().flatten();
        let pids = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let stats = pids.filter(|pid| *pid > KTHREADD);
        let entries = stats.filter_map(|pid| parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?));
        Self { entries: entries.filter(|entry| entry.parent != KTHREADD).map(|entry| (entry.pid, entry)).collect() }
    }

    /// Process groups of what descends from `root` and has started since then, other than root's own.
    #[must_use]
    pub fn groups_below(&self, root: i32, since: Duration) -> BTreeSet<i32> {
        let young = self.entries.values().filter(|entry| entry.started + TICK >= since && entry.group != root);
        young
            .filter(|entry| entry.pid != root && self.descends(entry, |pid| pid == root))
            .map(|entry| entry.group)
            .collect()
    }

    /// Processes that descend from no root: their parents have ended.
    #[must_use]
    pub fn strays(&self, is_root: impl Fn(i32) -> bool) -> Vec<i32> {
        self.stray_entries(is_root).map(|entry| entry.pid).collect()
    }

    /// Threads of these.
    #[must_use]
    pub fn stray_tasks(&self, is_root: impl Fn(i32) -> bool) -> u64 {
        self.stray_entries(is_root).map(|entry| entry.threads).sum()
    }

    /// `root`, what descends from it, and what is left of its process group.
    #[must_use]
    pub fn members_of(&self, root: Pid) -> Vec<i32> {
        self.member_entries(root).map(|entry| entry.pid).collect()
    }

    /// Threads of these.
    #[must_use]
    pub fn tasks_of(&self, root: Pid) -> u64 {
        self.member_entries(root).map(|entry| entry.threads).sum()
    }

    fn stray_entries(&self, is_root: impl Fn(i32) -> bool) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(move |entry| !self.descends(entry, &is_root))
    }

    fn member_entries(&self, root: Pid) -> impl Iterator<Item = &Entry> {
        let root = root.as_raw_nonzero().get();
        self.entries.values().filter(move |entry| entry.group == root || self.descends(entry, |pid| pid == root))
    }

    /// Whether the process or an ancestor of it is a root. Processes that come and go while /proc is read make no circle
    /// that matters: the way up is no longer than there are processes.
    fn descends(&self, entry: &Entry, is_root: impl Fn(i32) -> bool) -> bool {
        let mut current = entry;
        for _ in 0..self.entries.len() {
            if is_root(current.pid) {
                return true;
            }
            let Some(parent) = self.entries.get(&current.parent) else { return false };
            current = parent;
        }
        false
    }
}

/// Whether the process runs still, and is no zombie that its parent has not looked at.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    let state = name_end.and_then(|end| stat.get(end + 2));
    state.is_some_and(|state| !matches!(state, b'Z' | b'X'))
}

/// Sends a signal to the process groups of what `root` has started since then, other than its own.
pub fn signal_groups_below(root: Pid, signal: i32, since: Duration) {
    for group in Tree::read().groups_below(root.as_raw_nonzero().get(), since) {
        // One that has ended meanwhile hears nothing.
        let _ = Pid::from_raw(group).is_some_and(|group| signal_group(group, signal));
    }
}

/// Reads proc_pid_stat(5): the name is in parentheses and may itself hold anything.
fn parse(pid: i32, stat: &[u8]) -> Option<Entry> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Field 20, of which 4 and 5 have been taken, and field 22.
    let threads = fields.nth(14)?.parse().ok()?;
    let ticks: u32 = fields.nth(1)?.parse().ok()?;
    Some(Entry { pid, parent, group, threads, started: TICK * ticks })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::Pid;

    use super::{parse, Entry, Tree};

    fn entry(pid: i32, parent: i32, group: i32, milliseconds: u64) -> Entry {
        Entry { pid, parent, group, threads: 2, started: Duration::from_millis(milliseconds) }
    }

    fn tree(entries: &[Entry]) -> Tree {
        Tree { entries: entries.iter().map(|entry| (entry.pid, entry.clone())).collect() }
    }

    #[test]
    fn stat_is_read_whatever_the_name_holds() {
        let stat = b"71 (a) 1 2) S 10 71 70 0 -1 4194560 100 2 3 4 10 20 30 40 20 0 2 0 1234 8192000 25 99 1";
        assert_eq!(parse(71, stat), Some(entry(71, 10, 71, 12_340)));
        assert_eq!(parse(71, b"71 (a) S 1"), None);
    }

    #[test]
    fn groups_below_are_those_of_young_descendants() {
        let all = tree(&[
            entry(10, 1, 10, 0),
            entry(11, 10, 10, 500),
            entry(12, 10, 12, 500),
            entry(13, 12, 13, 600),
            entry(14, 10, 14, 100),
            entry(20, 1, 20, 500),
        ]);
        let groups = all.groups_below(10, Duration::from_millis(500));
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), [12, 13]);
    }

    #[test]
    fn strays_have_no_root_above_them() {
        let all = tree(&[entry(10, 1, 10, 0), entry(11, 10, 10, 0), entry(20, 1, 20, 0), entry(21, 20, 20, 0)]);
        let mut strays = all.strays(|pid| pid == 10);
        strays.sort_unstable();
        assert_eq!(strays, [20, 21]);
        assert_eq!(all.stray_tasks(|pid| pid == 10), 4);
        let left = tree(&[entry(11, 1, 10, 0), entry(12, 11, 12, 0), entry(20, 1, 20, 0)]);
        assert_eq!(left.members_of(Pid::from_raw(10).unwrap()), [11], "its group, though it has ended itself");
        assert_eq!(all.tasks_of(Pid::from_raw(10).unwrap()), 4);
        assert!(tree(&[entry(30, 31, 0, 0), entry(31, 30, 0, 0)]).groups_below(10, Duration::ZERO).is_empty());
    }

    #[test]
    fn the_tree_of_this_machine_has_this_process() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(Tree::read().strays(|_| false).contains(&me));
    }
}
