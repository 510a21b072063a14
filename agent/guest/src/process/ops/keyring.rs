//! Operations on keyrings.

use keyring::DefaultDestination;
use scenarios::op::DefaultKeyring;
use scenarios::plan::Op;

use super::{OpResult, done, misplaced, serial, text};
use crate::process::{Cause, PlanProcess};

impl PlanProcess<'_> {
    pub(super) fn keyring_op(&mut self, op: &Op, cause: Cause) -> OpResult {
        let key = |key| self.key(key, cause);
        Ok(match op {
            Op::JoinSession { name } => {
                let name = name.as_deref().map(text).transpose()?;
                let joined = keyring::join_session_keyring(name.as_deref());
                self.context.session = joined.ok().or(self.context.session);
                serial(joined)
            }
            Op::Keyring { key: which, create } => serial(keyring::get_keyring_id(key(which)?, *create)),
            Op::Clear { key: which } => done(keyring::clear(key(which)?)),
            Op::Link { key: which, into } => done(keyring::link(key(which)?, key(into)?)),
            Op::Unlink { key: which, from } => done(keyring::unlink(key(which)?, key(from)?)),
            Op::Move { key: which, from, into } => {
                done(keyring::move_link(key(which)?, key(from)?, key(into)?))
            }
            Op::Restrict { key: which } => done(keyring::restrict(key(which)?)),
            Op::DefaultKeyring { is } => done(keyring::set_default_destination(destination(*is))),
            Op::SessionToParent {} => done(keyring::session_to_parent()),
            Op::Persistent { uid, into } => serial(keyring::get_persistent(*uid, key(into)?)),
            _ => misplaced(op),
        })
    }
}

fn destination(keyring: DefaultKeyring) -> DefaultDestination {
    match keyring {
        DefaultKeyring::Default => DefaultDestination::Default,
        DefaultKeyring::Thread => DefaultDestination::Thread,
        DefaultKeyring::Process => DefaultDestination::Process,
        DefaultKeyring::Session => DefaultDestination::Session,
        DefaultKeyring::User => DefaultDestination::User,
        DefaultKeyring::UserSession => DefaultDestination::UserSession,
        DefaultKeyring::Requestor => DefaultDestination::Requestor,
    }
}
