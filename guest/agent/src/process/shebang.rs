//! Programs that begin with `#!`, read as the kernel reads them (fs/binfmt_script.c): the rest of the first line is an
//! interpreter and at most one argument, which keeps its inner blanks.

/// What the kernel looks at: BINPRM_BUF_SIZE of linux/binfmts.h.
const LOOKED_AT: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    pub interpreter: String,
    pub argument: Option<String>,
}

/// `None` when the code does not begin with `#!`, and when no interpreter can be read from the line.
#[must_use]
pub fn parse(code: &str) -> Option<Shebang> {
    let rest = code.strip_prefix("#!")?;
    let blank = [' ', '\t'];
    let line = rest.split('\n').next().unwrap_or_default();
    let whole = line.len() + 2 < LOOKED_AT;
    let line = line.trim_start_matches(blank).trim_end_matches(blank);
    let (interpreter, argument) = line.split_once(blank).unwrap_or((line, ""));
    let argument = argument.trim_start_matches(blank);
    if interpreter.is_empty() || !whole {
        return None;
    }
    let argument = (!argument.is_empty()).then(|| argument.to_owned());
    Some(Shebang { interpreter: interpreter.to_owned(), argument })
}

#[cfg(test)]
mod tests {
    use super::{parse, Shebang};

    fn parsed(code: &str) -> (String, Option<String>) {
        let Shebang { interpreter, argument } = parse(code).unwrap();
        (interpreter, argument)
    }

    #[test]
    fn the_argument_is_one_whatever_blanks_it_holds() {
        assert_eq!(parsed("#!/usr/bin/awk -f\nBEGIN {}"), ("/usr/bin/awk".into(), Some("-f".into())));
        assert_eq!(parsed("#! \t/usr/bin/env -S a  b \t\n"), ("/usr/bin/env".into(), Some("-S a  b".into())));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_name_as_it_does_for_the_kernel() {
        assert_eq!(parsed("#!/bin/sh\r\necho"), ("/bin/sh\r".into(), None));
    }

    #[test]
    fn a_line_without_end_or_argument_is_enough() {
        assert_eq!(parsed("#!/bin/cat"), ("/bin/cat".into(), None));
    }

    #[test]
    fn what_names_no_interpreter_is_left_to_the_shell() {
        assert_eq!(parse("#!\necho"), None);
        assert_eq!(parse("#!  \n/bin/sh"), None);
        assert_eq!(parse(&format!("#!/{}\n", "x".repeat(300))), None);
    }

    #[test]
    fn other_code_is_not_a_script_with_interpreter() {
        assert_eq!(parse("echo '#!'"), None);
        assert_eq!(parse(" #!/bin/sh"), None);
    }
}
