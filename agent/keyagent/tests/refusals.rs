//! Registering where it can't succeed: on a kernel without keyagents, and behind a seccomp filter.

use std::thread;

use keyagent::{Agent, Error};
use keyring::{Capabilities, Errno, capabilities, refusal};

fn kernel_has_keyagents() -> bool {
    capabilities().is_ok_and(|capabilities| capabilities.contains(Capabilities::KEYAGENT))
}

#[test]
fn kernel_without_keyagents_is_told() {
    if refusal().is_some() || kernel_has_keyagents() {
        return;
    }
    let refused = Agent::builder("user").register().err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("CONFIG_KEYAGENT=y")));
}

#[test]
fn mistakes_of_the_program_are_told_on_every_kernel() {
    assert!(matches!(Agent::builder("keyring").register(), Err(Error::KeyType(_))));
    assert!(matches!(Agent::builder("user").window(0).register(), Err(Error::Window(0))));
}

/// Lets a system call of this thread, and of those that it starts, fail.
fn deny(number: i64, errno: i32) {
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, k: u32, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_EQUAL, number as u32, 0, 1),
        instruction(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is borrowed over the call, and its length is that of the filter.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

#[test]
fn seccomp_filter_is_told_from_the_kernel() {
    if refusal().is_some() {
        return;
    }
    for (number, name, errno) in [
        (libc::SYS_add_key, "add_key", libc::EPERM),
        (libc::SYS_keyctl, "keyctl", libc::ENOSYS),
        (libc::SYS_request_key, "request_key", libc::EACCES),
    ] {
        let refused = thread::spawn(move || {
            deny(number, errno);
            Agent::builder("user").register()
        });
        match refused.join().unwrap() {
            Err(Error::Seccomp { call, error }) => {
                assert_eq!((call, error), (name, Errno::from_raw_os_error(errno)));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}
