//! Why an operation failed, as the one line of JSON that the host reads.

use rustix::io::Errno;

use crate::json::Json;

/// What the operations give: a success, or what went wrong and with which path.
pub type Outcome<T> = Result<T, Failure>;

#[derive(Debug)]
pub struct Failure {
    pub errno: Errno,
    message: Option<&'static str>,
    path: Vec<u8>,
}

impl Failure {
    pub fn new(errno: Errno, path: &[u8]) -> Self {
        Self { errno, message: None, path: path.to_vec() }
    }

    /// A failure that the name of the error alone would not explain.
    pub fn explained(errno: Errno, message: &'static str, path: &[u8]) -> Self {
        Self { errno, message: Some(message), path: path.to_vec() }
    }

    /// The line for standard error.
    pub fn to_line(&self) -> Vec<u8> {
        let known = ERRORS.iter().find(|(errno, ..)| *errno == self.errno);
        let (_, name, text) = known.copied().unwrap_or(UNKNOWN);
        let mut line = Json::object();
        line.text("errno", name).text("message", self.message.unwrap_or(text)).bytes("path", &self.path);
        line.into_line()
    }
}

/// Names the path that a failed call was about.
pub trait At<T> {
    fn at(self, path: &[u8]) -> Outcome<T>;

    /// With a path that takes work to say.
    fn at_path(self, path: impl FnOnce() -> Vec<u8>) -> Outcome<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, path: &[u8]) -> Outcome<T> {
        self.map_err(|errno| Failure::new(errno, path))
    }

    fn at_path(self, path: impl FnOnce() -> Vec<u8>) -> Outcome<T> {
        self.map_err(|errno| Failure { errno, message: None, path: path() })
    }
}

const UNKNOWN: (Errno, &str, &str) = (Errno::IO, "EIO", "Unknown error");

/// Everything that calls on files, directories and pipes give (the man pages of section 2), with the texts of strerror(3): the C
/// library's own come with its message catalogues.
const ERRORS: [(Errno, &str, &str); 46] = [
    (Errno::PERM, "EPERM", "Operation not permitted"),
    (Errno::NOENT, "ENOENT", "No such file or directory"),
    (Errno::SRCH, "ESRCH", "No such process"),
    (Errno::INTR, "EINTR", "Interrupted system call"),
    (Errno::IO, "EIO", "Input/output error"),
    (Errno::NXIO, "ENXIO", "No such device or address"),
    (Errno::TOOBIG, "E2BIG", "Argument list too long"),
    (Errno::BADF, "EBADF", "Bad file descriptor"),
    (Errno::AGAIN, "EAGAIN", "Resource temporarily unavailable"),
    (Errno::NOMEM, "ENOMEM", "Cannot allocate memory"),
    (Errno::ACCESS, "EACCES", "Permission denied"),
    (Errno::FAULT, "EFAULT", "Bad address"),
    (Errno::BUSY, "EBUSY", "Device or resource busy"),
    (Errno::EXIST, "EEXIST", "File exists"),
    (Errno::XDEV, "EXDEV", "Invalid cross-device link"),
    (Errno::NODEV, "ENODEV", "No such device"),
    (Errno::NOTDIR, "ENOTDIR", "Not a directory"),
    (Errno::ISDIR, "EISDIR", "Is a directory"),
    (Errno::INVAL, "EINVAL", "Invalid argument"),
    (Errno::NFILE, "ENFILE", "Too many open files in system"),
    (Errno::MFILE, "EMFILE", "Too many open files"),
    (Errno::NOTTY, "ENOTTY", "Inappropriate ioctl for device"),
    (Errno::TXTBSY, "ETXTBSY", "Text file busy"),
    (Errno::FBIG, "EFBIG", "File too large"),
    (Errno::NOSPC, "ENOSPC", "No space left on device"),
    (Errno::SPIPE, "ESPIPE", "Illegal seek"),
    (Errno::ROFS, "EROFS", "Read-only file system"),
    (Errno::MLINK, "EMLINK", "Too many links"),
    (Errno::PIPE, "EPIPE", "Broken pipe"),
    (Errno::RANGE, "ERANGE", "Numerical result out of range"),
    (Errno::DEADLK, "EDEADLK", "Resource deadlock avoided"),
    (Errno::NAMETOOLONG, "ENAMETOOLONG", "File name too long"),
    (Errno::NOLCK, "ENOLCK", "No locks available"),
    (Errno::NOSYS, "ENOSYS", "Function not implemented"),
    (Errno::NOTEMPTY, "ENOTEMPTY", "Directory not empty"),
    (Errno::LOOP, "ELOOP", "Too many levels of symbolic links"),
    (Errno::NODATA, "ENODATA", "No data available"),
    (Errno::PROTO, "EPROTO", "Protocol error"),
    (Errno::OVERFLOW, "EOVERFLOW", "Value too large for defined data type"),
    (Errno::ILSEQ, "EILSEQ", "Invalid or incomplete multibyte or wide character"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP", "Operation not supported"),
    (Errno::TIMEDOUT, "ETIMEDOUT", "Connection timed out"),
    (Errno::STALE, "ESTALE", "Stale file handle"),
    (Errno::UCLEAN, "EUCLEAN", "Structure needs cleaning"),
    (Errno::DQUOT, "EDQUOT", "Disk quota exceeded"),
    (Errno::CANCELED, "ECANCELED", "Operation canceled"),
];

#[cfg(test)]
mod tests {
    use super::{Errno, Failure};

    #[test]
    fn a_failure_is_one_line_of_json() {
        let line = Failure::new(Errno::NOENT, b"/x").to_line();
        let expected = "{\"errno\":\"ENOENT\",\"message\":\"No such file or directory\",\"path\":\"L3g=\"}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn an_error_without_a_name_here_is_eio() {
        let line = Failure::new(Errno::from_raw_os_error(4_000), b"").to_line();
        assert!(line.starts_with(b"{\"errno\":\"EIO\","));
    }

    #[test]
    fn an_explanation_stands_in_place_of_the_usual_text() {
        let line = Failure::explained(Errno::INVAL, "not a regular file", b"").to_line();
        assert_eq!(line, b"{\"errno\":\"EINVAL\",\"message\":\"not a regular file\",\"path\":\"\"}\n");
    }
}
