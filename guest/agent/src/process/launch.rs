//! Starts a user program with its pipes. The start is told asynchronously (`exec_outcome`): between `fork` and `execve`
//! the child already belongs to the user, who could stop it, and the agent waits for nobody.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{fchown, fcntl_getfl, fcntl_setfl, Gid, Mode, OFlags, Uid};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{pipe_with, PipeFlags};
use rustix::process::Pid;

use crate::seccomp::user_filter;
use crate::sys::child::{fork_child, ChildPlan, CHILD_FAILURE_BYTES, STAGE_CWD, STAGE_EXEC, STAGE_IDENTITY};
use crate::wire::request::Environment;

/// Children go first when memory runs out; the agent itself is at −1000.
const OOM_SCORE_ADJ: &std::ffi::CStr = c"500";
/// Where programs are looked for when the environment names no PATH (execvp(3)).
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    Null,
    Pipe,
}

pub struct Launch<'a> {
    pub argv: &'a [String],
    pub environment: &'a Environment,
    pub cwd: &'a str,
    pub stdin: Stdin,
    /// Whether descriptor 3 is a socket to the agent, as REPLs have.
    pub with_socket: bool,
    /// Whose rights the program has. With one it has a user's system calls, too.
    pub identity: Option<(u32, u32)>,
}

/// A child and the agent's non-blocking ends of its pipes.
pub struct Launched {
    pub pid: Pid,
    pub report: OwnedFd,
    pub stdin: Option<OwnedFd>,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub socket: Option<OwnedFd>,
}

/// Why a child did not become the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecFailure {
    stage: i32,
    errno: i32,
}

impl ExecFailure {
    /// The status that a shell gives for it: 127 when the program is missing, 126 when it cannot be run.
    #[must_use]
    pub fn shell_status(&self) -> u8 {
        if self.stage == STAGE_EXEC && io::Error::from_raw_os_error(self.errno).kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        }
    }

    #[must_use]
    pub fn message(&self, program: &str, cwd: &str) -> String {
        let why = io::Error::from_raw_os_error(self.errno);
        match self.stage {
            STAGE_EXEC => format!("{program}: {why}"),
            STAGE_CWD => format!("cannot enter {cwd}: {why}"),
            STAGE_IDENTITY => format!("cannot become the user: {why}"),
            _ => format!("cannot prepare the process: {why}"),
        }
    }
}

impl Launch<'_> {
    pub fn start(&self) -> io::Result<Launched> {
        let environment = self.environment.iter().map(|(name, value)| c_string(&format!("{name}={value}")));
        let environment = environment.collect::<io::Result<Vec<_>>>()?;
        let argv = self.argv.iter().map(|argument| c_string(argument)).collect::<io::Result<Vec<_>>>()?;
        let programs = program_paths(self.argv.first().map_or("", String::as_str), self.environment.get("PATH"))?;
        let cwd = c_string(self.cwd)?;
        let (stdin, child_stdin) = self.stdin()?;
        let (stdout, child_stdout) = self.output_pipe()?;
        let (stderr, child_stderr) = self.output_pipe()?;
        let pair = self.socket_pair()?;
        let mut descriptors = vec![child_stdin.as_fd(), child_stdout.as_fd(), child_stderr.as_fd()];
        descriptors.extend(pair.as_ref().map(|(_, child)| child.as_fd()));
        let forked = fork_child(&ChildPlan {
            programs: &programs,
            argv: &argv,
            environment: &environment,
            cwd: &cwd,
            descriptors: &descriptors,
            identity: self.identity,
            filter: self.identity.map(|_| user_filter()),
            oom_score_adj: OOM_SCORE_ADJ,
        })?;
        set_nonblocking(&forked.report)?;
        let socket = pair.map(|(ours, _)| ours);
        Ok(Launched { pid: forked.pid, report: forked.report, stdin, stdout, stderr, socket })
    }

    fn stdin(&self) -> io::Result<(Option<OwnedFd>, OwnedFd)> {
        if self.stdin == Stdin::Null {
            return Ok((None, rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?));
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        set_nonblocking(&write)?;
        self.give(&read)?;
        Ok((Some(write), read))
    }

    fn output_pipe(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        set_nonblocking(&read)?;
        self.give(&write)?;
        Ok((read, write))
    }

    fn socket_pair(&self) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
        if !self.with_socket {
            return Ok(None);
        }
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_nonblocking(&ours)?;
        Ok(Some((ours, theirs)))
    }

    /// The user may open its own `/dev/stdout` again, which asks for rights on the pipe itself.
    fn give(&self, pipe: &OwnedFd) -> io::Result<()> {
        let Some((uid, gid)) = self.identity else {
            return Ok(());
        };
        Ok(fchown(pipe, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
    }
}

/// What became of a start: `None` while the child is on its way.
pub fn exec_outcome(report: impl AsFd) -> Option<Result<(), ExecFailure>> {
    let mut message = [0_u8; CHILD_FAILURE_BYTES];
    match rustix::io::read(report, &mut message) {
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => None,
        Ok(CHILD_FAILURE_BYTES) => {
            let [s0, s1, s2, s3, e0, e1, e2, e3] = message;
            let stage = i32::from_ne_bytes([s0, s1, s2, s3]);
            Some(Err(ExecFailure { stage, errno: i32::from_ne_bytes([e0, e1, e2, e3]) }))
        }
        // The end without a message: execve closed the descriptor (or a kill did, which the exit status will tell).
        _ => Some(Ok(())),
    }
}

fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(descriptor, fcntl_getfl(descriptor)? | OFlags::NONBLOCK)?)
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// The paths that a program's name may mean, as for execvp(3): a name with a slash is a path.
fn program_paths(name: &str, path: Option<&String>) -> io::Result<Vec<CString>> {
    if name.contains('/') {
        return Ok(vec![c_string(name)?]);
    }
    let path = path.map_or(DEFAULT_PATH, String::as_str);
    path.split(':')
        .map(|directory| c_string(&format!("{}/{name}", if directory.is_empty() { "." } else { directory })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::program_paths;

    fn paths(name: &str, path: Option<&str>) -> Vec<String> {
        let path = path.map(str::to_owned);
        let found = program_paths(name, path.as_ref()).unwrap();
        found.into_iter().map(|each| each.into_string().unwrap()).collect()
    }

    #[test]
    fn a_name_is_looked_for_along_the_path() {
        assert_eq!(paths("ls", Some("/a:/b")), ["/a/ls", "/b/ls"]);
        assert_eq!(paths("ls", Some("/a:")), ["/a/ls", "./ls"]);
        assert_eq!(paths("ls", None), ["/usr/local/bin/ls", "/usr/bin/ls", "/bin/ls"]);
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        assert_eq!(paths("./run", Some("/a")), ["./run"]);
    }
}
