//! Why a step of the boot failed: what was being done, and what the kernel said.

use std::fmt;

#[derive(Debug)]
pub struct StepError {
    step: String,
    cause: String,
}

impl StepError {
    pub fn new(step: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { step: step.into(), cause: cause.to_string() }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

/// Names the step in which an error came up.
pub trait Step<T> {
    fn step(self, step: &str) -> Result<T, StepError>;
}

impl<T, E: fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, StepError> {
        self.map_err(|error| StepError::new(step, error))
    }
}
