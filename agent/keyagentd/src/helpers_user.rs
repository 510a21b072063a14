//! The user that helpers run as.

use std::fs;

use rustix::process::geteuid;

use super::child::User;
use super::failure::{Code, Failure, Result};

/// The user of `--user`, if this process may become another one.
pub(crate) fn helpers_user(text: &str) -> Result<User> {
    if !geteuid().is_root() {
        return Err(Failure::new(Code::NoPermission, "can't run helpers as another user: --user needs root"));
    }
    // Namespaces of Linux before 3.19 have no such file.
    check_setgroups(&fs::read_to_string("/proc/self/setgroups").unwrap_or_default())?;
    user(text)
}

/// Refuses a user namespace in which helpers could not give up supplementary groups.
fn check_setgroups(setting: &str) -> Result<()> {
    if setting.trim() != "deny" {
        return Ok(());
    }
    let message = "can't run helpers as another user: this user namespace denies setgroups(2); have its gid map \
                   written with privilege, as newgidmap(1) does, or leave out --user";
    Err(Failure::new(Code::NoPermission, message))
}

/// The ids of `NAME` or `UID:GID`.
fn user(text: &str) -> Result<User> {
    // -1 stands for no change, and would leave the helper the daemon's own ids.
    let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
    let ids = |uid: &str, gid: &str| Some(User { uid: id(uid)?, gid: id(gid)? });
    if let Some((uid, gid)) = text.split_once(':')
        && let Some(user) = ids(uid, gid)
    {
        return Ok(user);
    }
    let passwd = fs::read_to_string("/etc/passwd").map_err(Failure::os("read /etc/passwd"))?;
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|entry| entry[0] == text);
    let found = entry.and_then(|entry| ids(entry.get(2)?, entry.get(3)?));
    let unknown =
        || Failure::new(Code::Usage, format!("can't find the user {text:?} in /etc/passwd; use UID:GID"));
    found.ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_that_denies_setgroups_is_refused() {
        assert!(check_setgroups("allow\n").is_ok() && check_setgroups("").is_ok());
        let refused = check_setgroups("deny\n").unwrap_err();
        assert_eq!(refused.code, Code::NoPermission);
        assert!(refused.message.ends_with("or leave out --user"), "{}", refused.message);
    }

    #[test]
    fn user_is_a_name_or_ids() {
        assert_eq!(user("root").unwrap(), User { uid: 0, gid: 0 });
        assert_eq!(user("12:34").unwrap(), User { uid: 12, gid: 34 });
        assert!(
            ["12", "nobody:x", "", "4294967295:0", "0:4294967295"].iter().all(|text| user(text).is_err())
        );
    }
}
