//! Operations on keyrings.

use scenarios::plan::KeyringOp;

use super::{OpResult, done, serial, text};
use crate::keyring;
use crate::process::{Cause, PlanProcess};

impl PlanProcess<'_> {
    pub(super) fn keyring_op(&mut self, op: &KeyringOp, cause: Cause) -> OpResult {
        let key = |key| self.key(key, cause);
        Ok(match op {
            KeyringOp::JoinSession { name } => {
                let name = name.as_deref().map(text).transpose()?;
                let joined = keyring::join_session_keyring(name.as_deref());
                self.context.session = joined.ok().or(self.context.session);
                serial(joined)
            }
            KeyringOp::Keyring { key: which, create } => {
                serial(keyring::get_keyring_id(key(which)?, *create))
            }
            KeyringOp::Clear { key: which } => done(keyring::clear(key(which)?)),
            KeyringOp::Link { key: which, into } => done(keyring::link(key(which)?, key(into)?)),
            KeyringOp::Unlink { key: which, from } => done(keyring::unlink(key(which)?, key(from)?)),
            KeyringOp::Move { key: which, from, into } => {
                done(keyring::move_link(key(which)?, key(from)?, key(into)?, false))
            }
            KeyringOp::Restrict { key: which } => done(keyring::restrict(key(which)?, None, None)),
            KeyringOp::DefaultKeyring { is } => done(keyring::set_default_destination(is.id()).map(drop)),
            KeyringOp::SessionToParent {} => done(keyring::session_to_parent()),
            KeyringOp::Persistent { uid, into } => serial(keyring::get_persistent(*uid, key(into)?)),
        })
    }
}
