//! How each language's REPL is started. guest/repl/README.md says the same, and is where it is explained.

use std::collections::BTreeMap;
use std::path::Path;

use crate::wire::request::Language;

/// Where the REPL programs are in the guest.
pub const REPL_DIRECTORY: &str = "/run/exec-sandbox/repl";

/// The argument vector of a language's REPL, with its programs below `directory`.
#[must_use]
pub fn argv(language: Language, directory: &Path) -> Vec<String> {
    let program = |name: &str| directory.join(name).to_string_lossy().into_owned();
    match language {
        Language::Python => {
            let repl = program("python/repl.py");
            ["/usr/bin/python3", "-I", "-X", "utf8", "-X", "frozen_modules=on", &repl].map(str::to_owned).to_vec()
        }
        Language::Javascript => {
            let repl = program("javascript/repl.ts");
            let options = ["--smol", "--no-install", "--no-env-file", "--config=/dev/null"];
            ["/usr/local/bin/bun"].into_iter().chain(options).chain(["run", &repl]).map(str::to_owned).collect()
        }
        Language::Bash => {
            let library = program("bash/repl.so");
            let code = format!("enable -f {library} exec_sandbox_repl; exec_sandbox_repl");
            ["/bin/bash", "--noprofile", "--norc", "-c", &code, "bash"].map(str::to_owned).to_vec()
        }
    }
}

/// What the interpreter itself reads from its environment. The REPL takes it out of what programs see.
#[must_use]
pub fn environment(language: Language) -> BTreeMap<String, String> {
    let entries: &[(&str, &str)] = match language {
        Language::Python | Language::Bash => &[],
        Language::Javascript => JAVASCRIPT_ENVIRONMENT,
    };
    entries.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Bun's timers for garbage collection keep an idle VM busy, and compiling the REPL's own functions after a few runs
/// costs an emulated VM more than it gains: only loops of a program are to reach these counts (ten times the defaults).
/// Measured in docs/decisions/0010-javascript-memory.md.
const JAVASCRIPT_ENVIRONMENT: &[(&str, &str)] = &[
    ("BUN_GC_TIMER_DISABLE", "1"),
    ("BUN_JSC_thresholdForJITAfterWarmUp", "5000"),
    ("BUN_JSC_thresholdForJITSoon", "1000"),
];
