//! Answers from threads that were there before the agent registered. With the argument `current-thread`, the agent has no
//! thread of its own, and answers come from threads that were started later.

use std::env;
use std::io::{self, Write};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ask::{Result, answer, ask};
use keyagent::{Agent, Error, Request};
use keyring::join_session_keyring;

mod ask;

const WORKERS: usize = 4;

fn main() -> Result<()> {
    if ask::is_child()? {
        return Ok(());
    }
    if env::args().any(|argument| argument == "current-thread") {
        return in_current_thread();
    }
    let (send, workers) = start_workers();
    join_session_keyring(None)?;
    let agent = Agent::builder("user").register()?;
    answer_in_threads(&agent, send, workers)
}

fn in_current_thread() -> Result<()> {
    let (send_early, receive) = mpsc::channel::<Request>();
    let early = thread::spawn(move || {
        let request = receive.recv().ok()?;
        Some((request.set_timeout(Duration::from_secs(60)), request))
    });
    join_session_keyring(None)?;
    let agent = Agent::builder("user").current_thread().register()?;
    let child = ask("early")?;
    send_early.send(agent.next_request()?)?;
    let (refused, request) = early.join().ok().flatten().ok_or("the thread has failed")?;
    assert!(matches!(refused, Err(Error::EarlierThread)), "{refused:?}");
    request.instantiate(b"from the first thread")?;
    assert_eq!(answer(child)?, "from the first thread");
    let (send, workers) = start_workers();
    answer_in_threads(&agent, send, workers)
}

type Workers = [JoinHandle<()>; WORKERS];

fn start_workers() -> (Sender<Request>, Workers) {
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
    (send, workers)
}

fn answer_in_threads(agent: &Agent, send: Sender<Request>, workers: Workers) -> Result<()> {
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
