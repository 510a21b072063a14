//! The stock upcall `/sbin/request-key`, which the kernel runs when no keyagent serves the requester (R9).
//!
//! Its arguments are `create KEY UID GID THREAD PROCESS SESSION`. Its session keyring holds the authkey of
//! KEY. It instantiates KEY with the callout information, and reports to PID 1, so that the trace shows the
//! call. For the callout `copy of NAME`, it instantiates KEY with the payload of the user key NAME, which it
//! finds in the keyrings to which the authkey gives access. If NAME has this form, too, the key is requested
//! with it as callout information. For the callout `reject with NUMBER`, it rejects KEY with this error. For
//! the callout `link`, it links KEY into the destination keyring, where the kernel has linked it before. If
//! the callout is empty, as that of the kernel's own requests, KEY's description stands for it.
//!
//! Names and ids of NFS, which are keys of type `id_resolver`, are negated and not reported, as on a host
//! whose request-key.conf(5) has no rule for them. NFS then asks rpc.idmapd(8).

use std::ffi::CString;
use std::process::ExitCode;

use keyring::{Errno, KeySerial, SpecialKey};
use scenarios::plan::{KeyRef, Op, Payload};
use scenarios::wire::{Done, Event, EventKind, Outcome, Value};

use crate::ipc::{REPORT_SOCKET, Report, ReportSender};
use crate::sys::errno;
use crate::sys::kmsg::{self, Level};

/// The process's name in events.
const NAME: &str = "/sbin/request-key";

/// Beginning of the callout information that asks for the payload of another key.
const COPY_OF: &[u8] = b"copy of ";

/// Beginning of the callout information that asks for a rejection.
const REJECT_WITH: &[u8] = b"reject with ";

/// Callout information that asks for a link.
const LINK: &[u8] = b"link";

/// Type of the keys of NFS's names and ids.
const ID_RESOLVER: &str = "id_resolver";

/// Seconds for which a rejected key remains.
const REJECTED_FOR: u32 = 60;

/// Serves one upcall.
pub(crate) fn answer(operation: &str, mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let key = arguments.next().and_then(|serial| serial.parse().ok()).and_then(KeySerial::new);
    let Some(key) = key.filter(|_| operation == "create") else { return ExitCode::from(2) };
    let answered = instantiate(key);
    if let Err(errno) = answered {
        kmsg::log(Level::Warning, &format!("{NAME}: key {}: {}", key.get(), errno::name(errno)));
    }
    if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn instantiate(key: KeySerial) -> Result<(), Errno> {
    let target = KeyRef::Serial(key.get());
    let authkey = keyring::assume_authority(key);
    if keyring::describe(key).is_ok_and(|described| described.kind == ID_RESOLVER) {
        return keyring::reject(key, REJECTED_FOR, Errno::NOKEY, None);
    }
    report(
        key,
        Op::Assume { key: Some(target.clone()) },
        authkey.map(|authkey| Value::Serial(authkey.get())),
    );
    authkey?;
    let callout = keyring::read(SpecialKey::AssumedAuthkey)?;
    let described = keyring::describe(key)?;
    let wanted = if callout.is_empty() { &described.description } else { &callout };
    if let Some(error) = wanted.strip_prefix(REJECT_WITH) {
        let error = str::from_utf8(error).ok().and_then(|number| number.parse().ok());
        return keyring::reject(
            key,
            REJECTED_FOR,
            Errno::from_raw_os_error(error.ok_or(Errno::INVAL)?),
            None,
        );
    }
    let payload = match wanted.strip_prefix(COPY_OF) {
        Some(name) => {
            let name = CString::new(name).map_err(|_| Errno::INVAL)?;
            let nested = name.as_bytes().starts_with(COPY_OF).then_some(name.as_c_str());
            keyring::read(keyring::request_key(c"user", &name, nested, None)?)?
        }
        None => callout,
    };
    let into = (payload == LINK).then_some(SpecialKey::RequestorKeyring.into());
    let answered = keyring::instantiate(key, &payload, into);
    // A successful call is not reported, since the requester's own report may come first.
    if answered.is_err() {
        let payload = Payload::Text(String::from_utf8_lossy(&payload).into_owned());
        report(key, Op::Instantiate { key: target, payload, into: None }, answered.map(|()| Value::None));
    }
    answered
}

fn report(key: KeySerial, op: Op, answer: Result<Value, Errno>) {
    let outcome = answer.map_or_else(|errno| Outcome::Error(errno::name(errno)), Outcome::Ok);
    let event = Event {
        process: NAME.to_owned(),
        step: None,
        worker: None,
        upcall: Some(key.get()),
        // PID 1 sets the time, since only PID 1 knows the plan's start.
        at_us: 0,
        kind: EventKind::Called { op, done: Done { outcome, begun_us: 0, elapsed_us: 0 } },
    };
    let told = ReportSender::connect(REPORT_SOCKET.as_ref())
        .and_then(|reporter| reporter.send(&Report::Event(event)));
    if let Err(why) = told {
        kmsg::log(Level::Warning, &format!("{NAME}: {why}"));
    }
}
