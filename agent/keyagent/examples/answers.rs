//! Completes requests in every way, and checks what the requesters see. Arguments: `signal` for that delivery, and
//! `current-thread` for an agent without a thread of its own.

use std::env;
use std::io::{self, Write};
use std::process::{Child, Command};
use std::time::Duration;

use ask::{Result, answer, ask};
use keyagent::{Agent, Builder, Delivery, Errno, Error, Request};
use keyring::join_session_keyring;

mod ask;

const CACHED: Duration = Duration::from_secs(60);

/// More than many requesters need to start on a busy machine.
const LONG: Duration = Duration::from_secs(600);

fn main() -> Result<()> {
    if ask::is_child()? {
        return Ok(());
    }
    let has_argument = |word: &str| env::args().any(|argument| argument == word);
    let delivery = if has_argument("signal") { Delivery::Signal } else { Delivery::WatchQueue };
    let mut builder = Agent::builder("user").delivery(delivery);
    if has_argument("current-thread") {
        builder = builder.current_thread();
    }
    join_session_keyring(None)?;
    complete(&builder)?;
    serve(&builder)?;
    serve_with_late_answer(&builder)?;
    late(&builder)?;
    burst(&builder)?;
    end(&builder)?;
    writeln!(io::stdout(), "all as documented")?;
    Ok(())
}

/// Asks, and returns the requester with its request.
fn request(agent: &Agent, description: &str) -> Result<(Child, Request)> {
    let child = ask(description)?;
    let request = agent.next_request()?;
    assert_eq!(request.description(), description.as_bytes());
    Ok((child, request))
}

fn complete(builder: &Builder) -> Result<()> {
    let agent = builder.clone().register()?;

    let (child, taken) = request(&agent, "instantiated")?;
    assert_eq!((taken.kind(), taken.callout()), ("user", &b"callout"[..]));
    assert_eq!(taken.requester().uid, keyring_owner()?);
    assert!([None, Some(child.id())].contains(&taken.requester().pid));
    assert!(taken.is_pending());
    taken.set_timeout(CACHED)?;
    taken.instantiate(b"payload")?;
    assert_eq!(answer(child)?, "payload");

    let (child, taken) = request(&agent, "negated")?;
    taken.negate(CACHED)?;
    assert_eq!(answer(child)?, "error 126");
    assert_eq!(answer(ask("negated")?)?, "error 126", "the negation is cached");

    let (child, taken) = request(&agent, "rejected")?;
    taken.reject(Errno::from_raw_os_error(200), CACHED)?;
    assert_eq!(answer(child)?, "error 200");

    let (child, taken) = request(&agent, "dropped")?;
    drop(taken);
    assert_eq!(answer(child)?, "error 126");
    let (child, taken) = request(&agent, "dropped")?;
    taken.instantiate(b"asked again")?;
    assert_eq!(answer(child)?, "asked again");

    let (child, taken) = request(&agent, "not taken by the type")?;
    let refused = taken.instantiate(b"");
    assert!(matches!(refused, Err(Error::Call { errno: Errno::INVAL, .. })), "{refused:?}");
    assert_eq!(answer(child)?, "error 22");

    let (child, taken) = request(&agent, "no such error")?;
    assert!(matches!(taken.reject(Errno::from_raw_os_error(512), CACHED), Err(Error::Rejection(_))));
    assert_eq!(answer(child)?, "error 126");
    assert!(agent.try_next_request()?.is_none());
    Ok(())
}

/// Requests that are answered where they are taken, or later.
fn serve(builder: &Builder) -> Result<()> {
    let agent = builder.clone().register()?;
    assert!(!agent.try_serve(drop)?);

    let (child, taken) = served(&agent, "at once", |request| request.instantiate(b"payload"))?;
    taken?;
    assert_eq!(answer(child)?, "payload");

    let (child, taken) = served(&agent, "dropped at once", drop)?;
    assert_eq!((answer(child)?.as_str(), taken), ("error 126", ()));

    let (child, taken) = served(&agent, "not taken by the type at once", |request| request.instantiate(b""))?;
    assert!(matches!(taken, Err(Error::Call { errno: Errno::INVAL, .. })), "{taken:?}");
    assert_eq!(answer(child)?, "error 22");

    let (child, taken) = served(&agent, "later", |request| request)?;
    let undone = keyring::read(keyring::SpecialKey::AssumedAuthkey);
    assert!(undone.is_err(), "the authority is given up");
    let (other, taken_after) =
        served(&agent, "one within another", |other| (taken.instantiate(b"first"), other))?;
    taken_after.0?;
    taken_after.1.instantiate(b"second")?;
    assert_eq!((answer(child)?.as_str(), answer(other)?.as_str()), ("first", "second"));

    let (child, taken) = served(&agent, "forked", |request| (can_be_answered_in_fork(&request), request))?;
    assert!(!taken.0?, "a forked process has no authority");
    assert!(taken.1.is_pending());
    taken.1.instantiate(b"by its parent")?;
    assert_eq!(answer(child)?, "by its parent");
    Ok(())
}

/// An answer that comes too late does not leave the thread the authority over another request.
fn serve_with_late_answer(builder: &Builder) -> Result<()> {
    let agent = builder.clone().register()?;
    let (child, late) = request(&agent, "too late")?;
    let mut helper = Command::new("keyctl");
    helper.args(["negate", &late.key().to_string(), "0", "0"]);
    assert!(late.delegate()?.spawn(helper)?.wait()?.success());
    assert_eq!(answer(child)?, "error 126");
    let (child, (refused, taken)) =
        served(&agent, "in time", |request| (late.instantiate(b"late"), request))?;
    assert!(matches!(refused, Err(Error::Ended)), "{refused:?}");
    let undone = keyring::read(keyring::SpecialKey::AssumedAuthkey);
    assert!(undone.is_err(), "the authority is given up");
    taken.instantiate(b"in time")?;
    assert_eq!(answer(child)?, "in time");
    Ok(())
}

/// Asks, and returns the requester with what `then` makes of its request.
fn served<T>(agent: &Agent, description: &str, then: impl FnOnce(Request) -> T) -> Result<(Child, T)> {
    let child = ask(description)?;
    let (mut then, mut result) = (Some(then), None);
    while result.is_none() {
        agent.try_serve(|request| {
            assert_eq!(request.description(), description.as_bytes());
            result = then.take().map(|then| then(request));
        })?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok((child, result.ok_or("nothing was served")?))
}

/// Whether a forked process can do something with a request. It is the first one of a pid namespace, as its parent may
/// be.
fn can_be_answered_in_fork(request: &Request) -> io::Result<bool> {
    // SAFETY: the call takes numbers. The child makes no call that needs another thread or its locks, and ends without
    // running handlers.
    let child =
        unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWPID | libc::SIGCHLD, 0, 0, 0, 0) as i32 };
    if child == 0 {
        let refused = matches!(request.set_timeout(CACHED), Err(Error::Forked)) && !request.is_pending();
        // SAFETY: the call takes a number, and does not return.
        unsafe { libc::_exit(i32::from(refused)) };
    }
    let mut status = 0;
    // SAFETY: the status is borrowed over the call.
    if child == -1 || unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        return Err(io::Error::last_os_error());
    }
    Ok(!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1))
}

/// This process's uid.
fn keyring_owner() -> Result<u32> {
    Ok(keyring::describe(keyring::SpecialKey::Session)?.uid)
}

/// A request that has reached its deadline can't be answered.
fn late(builder: &Builder) -> Result<()> {
    let agent = builder.clone().timeout(Duration::from_millis(50)).register()?;
    let (child, taken) = request(&agent, "late")?;
    assert_eq!(answer(child)?, "error 110");
    assert!(!taken.is_pending());
    assert!(matches!(taken.set_timeout(CACHED), Err(Error::Ended | Error::Call { .. })));
    assert!(matches!(taken.instantiate(b"late"), Err(Error::Ended)));
    Ok(())
}

/// More requests at once than the watch queue has room for.
fn burst(builder: &Builder) -> Result<()> {
    const REQUESTS: u32 = 150;
    let agent = builder.clone().window(1024).timeout(LONG).register()?;
    let children = (0..REQUESTS).map(|number| ask(&format!("burst {number}"))).collect::<Result<Vec<_>>>()?;
    wait_until_pending(&agent, REQUESTS);
    for request in agent.requests().take(REQUESTS as usize) {
        let request = request?;
        let description = request.description().to_vec();
        request.instantiate(&description)?;
    }
    for (number, child) in children.into_iter().enumerate() {
        assert_eq!(answer(child)?, format!("burst {number}"));
    }
    assert!(agent.try_next_request()?.is_none(), "each request was taken once");
    Ok(())
}

fn wait_until_pending(agent: &Agent, count: u32) {
    while agent.pending() != Some(count) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An agent that is dropped rejects what was not taken, in the window and beyond.
fn end(builder: &Builder) -> Result<()> {
    let agent = builder.clone().window(2).timeout(LONG).register()?;
    let children = ["a", "b", "c"].map(ask);
    wait_until_pending(&agent, 3);
    drop(agent);
    for child in children {
        assert_eq!(answer(child?)?, "error 126");
    }

    // The kernel queues the others behind the one that was taken.
    let agent = builder.clone().window(1).timeout(LONG).register()?;
    let (child, taken) = request(&agent, "taken")?;
    let others = ["d", "e"].map(ask);
    wait_until_pending(&agent, 3);
    drop(agent);
    assert!(taken.is_pending());
    taken.instantiate(b"still answered")?;
    assert_eq!(answer(child)?, "still answered");
    for other in others {
        assert_eq!(answer(other?)?, "error 126");
    }
    Ok(())
}
