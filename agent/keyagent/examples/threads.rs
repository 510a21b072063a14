//! Answers from threads that were there before the agent registered.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use ask::{Result, answer, ask};
use keyagent::{Agent, Request};
use keyring::join_session_keyring;

mod ask;

const WORKERS: usize = 4;

fn main() -> Result<()> {
    if ask::is_child()? {
        return Ok(());
    }
    let (send, receive) = mpsc::channel::<Request>();
    let receive = Arc::new(Mutex::new(receive));
    let workers = [(); WORKERS].map(|()| {
        let receive = Arc::clone(&receive);
        thread::spawn(move || {
            loop {
                let received = receive.lock().map(|queue| queue.recv());
                let Ok(Ok(request)) = received else { return };
                let _ = request.instantiate(b"from a thread");
            }
        })
    });

    join_session_keyring(None)?;
    let agent = Agent::builder("user").register()?;
    let children = (0..8).map(|number| ask(&number.to_string())).collect::<Result<Vec<_>>>()?;
    for request in agent.requests().take(children.len()) {
        send.send(request?)?;
    }
    drop(send);
    for child in children {
        assert_eq!(answer(child)?, "from a thread");
    }
    assert!(workers.into_iter().all(|worker| worker.join().is_ok()));
    writeln!(io::stdout(), "all as documented")?;
    Ok(())
}
