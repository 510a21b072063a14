//! Answers requests for `user` keys with the callout information in capitals, for a command and all that it
//! starts:
//!
//! ```console
//! $ shout sh -c 'keyctl pipe $(keyctl request2 user greeting hello @s)'
//! HELLO
//! ```

use std::error::Error;
use std::process::{Command, exit};
use std::{env, thread};

use keyagent::Agent;
use keyring::join_session_keyring;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let command = arguments.next().ok_or("usage: shout COMMAND [ARGUMENT…]")?;

    // The command inherits this session keyring, with the agent's key in it.
    join_session_keyring(None)?;
    let agent = Agent::builder("user").register()?;
    let mut command = Command::new(command).args(arguments).spawn()?;
    thread::spawn(move || {
        let status = command.wait().ok().and_then(|status| status.code());
        exit(status.unwrap_or(1))
    });

    for request in &agent {
        let request = request?;
        let answer = request.callout().to_ascii_uppercase();
        // The request may have ended meanwhile, or the requester's quota be used up: no reason to stop.
        let _ = request.instantiate(&answer);
    }
    Ok(())
}
