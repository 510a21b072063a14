//! Leaves requests to helpers that are started as the kernel starts /sbin/request-key:
//! `create KEY UID GID 0 0 SESSION`. With the argument `current-thread`, the agent has no thread of its own.

use std::env;
use std::io::{self, Write};
use std::process::Command;

use ask::{Result, answer, ask};
use keyagent::{Agent, KeySerial, SpecialKey};
use keyring::{assume_authority, instantiate, join_session_keyring, read};

mod ask;

fn main() -> Result<()> {
    if ask::is_child()? {
        return Ok(());
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [operation, key, _uid, _gid, thread, process, session] = arguments.as_slice() {
        assert_eq!((operation.as_str(), thread.as_str(), process.as_str()), ("create", "0", "0"));
        return help(key.parse::<i32>()?.try_into()?, session.parse::<i32>()?.try_into()?);
    }

    join_session_keyring(None)?;
    let builder = Agent::builder("user");
    let in_current_thread = arguments == ["current-thread"];
    let agent = if in_current_thread { builder.current_thread() } else { builder }.register()?;
    let helped = ask("k")?;
    let request = agent.next_request()?;
    let delegation = request.delegate()?;
    let mut helper = Command::new(env::current_exe()?);
    helper.args(delegation.request_key_arguments());
    assert!(delegation.spawn(helper)?.wait()?.success());
    assert!(!request.is_pending());
    drop(request);
    assert_eq!(answer(helped)?, "helped with callout");

    // A helper that exits without an answer.
    let unhelped = ask("l")?;
    let request = agent.next_request()?;
    let delegation = request.delegate()?;
    assert!(delegation.spawn(Command::new("/bin/true"))?.wait()?.success());
    assert!(request.is_pending());
    drop(request);
    assert_eq!(answer(unhelped)?, "error 126");
    writeln!(io::stdout(), "all as documented")?;
    Ok(())
}

/// The helper. It assumes the authority itself, as request-key(8) and its helpers do.
fn help(key: KeySerial, session: KeySerial) -> Result<()> {
    assert_eq!(keyring::get_keyring_id(SpecialKey::Session, false)?, session);
    assume_authority(key)?;
    let callout = String::from_utf8(read(SpecialKey::AssumedAuthkey)?)?;
    instantiate(key, format!("helped with {callout}").as_bytes(), None)?;
    Ok(())
}
