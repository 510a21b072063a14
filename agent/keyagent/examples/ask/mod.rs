//! The requester of the examples: the example itself, as another process, since no agent serves itself.

use std::error::Error;
use std::ffi::CString;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::{env, str};

use keyring::{SpecialKey, read, request_key};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes a request in a child process.
pub(crate) fn ask(description: &str) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    Ok(command.args(["ask", description]).stdout(Stdio::piped()).spawn()?)
}

/// The child's result: a payload, or `error N`.
pub(crate) fn answer(child: Child) -> Result<String> {
    Ok(String::from_utf8(child.wait_with_output()?.stdout)?)
}

/// Makes the request if this process is such a child.
pub(crate) fn is_child() -> Result<bool> {
    let arguments: Vec<String> = env::args().collect();
    let [_, role, description] = arguments.as_slice() else { return Ok(false) };
    if role != "ask" {
        return Ok(false);
    }
    let description = CString::new(description.as_str())?;
    let key = request_key(c"user", &description, Some(c"callout"), Some(SpecialKey::Session.into()));
    match key.and_then(read) {
        Ok(payload) => io::stdout().write_all(&payload)?,
        Err(errno) => write!(io::stdout(), "error {}", errno.raw_os_error())?,
    }
    Ok(true)
}
