//! Reaping, in a test program of its own: it takes whatever children the process has, those of other tests
//! included.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use guest::children::Children;
use nix::errno::Errno;
use scenarios::wire::Ending;

#[test]
fn unreaped_child_is_a_zombie_until_reaped() {
    let spawn = |script: &str| Command::new("sh").args(["-c", script]).spawn().unwrap().id() as i32;
    let mut children = Children::default();
    children.insert(spawn("exit 3"), "kept", false);
    children.insert(spawn("kill -40 $$"), "reaped", true);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
        ended.extend(children.poll_exits());
    }
    ended.sort_by_key(|(what, _)| *what);
    assert_eq!(ended, [("kept", Ending::Exited(3)), ("reaped", Ending::Killed(40))]);
    assert_eq!(children.reap(|what| *what == "reaped"), Err(Errno::ECHILD));
    assert_eq!(children.reap(|what| *what == "kept"), Ok(()));
    assert_eq!(children.reap(|what| *what == "kept"), Err(Errno::ECHILD));

    // One that leads a process group of its own is a child all the same.
    let lead = |program: &str| Command::new(program).process_group(0).spawn().unwrap().id() as i32;
    children.insert(lead("true"), "leader", true);
    ended.clear();
    while ended.is_empty() {
        std::thread::sleep(Duration::from_millis(5));
        ended = children.poll_exits();
    }
    assert_eq!(ended, [("leader", Ending::Exited(0))]);
}
