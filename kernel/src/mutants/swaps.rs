//! Names and operators that are mistaken for each other.

/// Operators that replace an operator.
pub(super) fn operators(sign: &str) -> &'static [&'static str] {
    match sign {
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &["<=", ">="],
        "<=" => &["<", ">"],
        ">" => &[">=", "<="],
        ">=" => &[">", "<"],
        "+" => &["-"],
        "-" => &["+"],
        "*" => &["+"],
        "/" => &["*"],
        "<<" => &[">>"],
        ">>" => &["<<"],
        "^" => &["|"],
        _ => &[],
    }
}

/// Returns true if one comparison holds where the other does not.
pub(super) fn is_negation(sign: &str, other: &str) -> bool {
    matches!(
        (sign, other),
        ("==", "!=") | ("!=", "==") | ("<", ">=") | (">=", "<") | (">", "<=") | ("<=", ">")
    )
}

/// Pairs of functions with the same parameters. Each replaces the other.
const FUNCTIONS: &[(&str, &str)] = &[
    ("current_cred", "current_real_cred"),
    ("list_add", "list_add_tail"),
    ("list_move", "list_move_tail"),
    ("task_tgid", "task_pid"),
    ("task_tgid_nr", "task_pid_nr"),
    ("time_before", "time_after"),
    ("min", "max"),
    ("min_t", "max_t"),
    ("queue_delayed_work", "mod_delayed_work"),
    ("list_first_entry", "list_last_entry"),
];

/// Fields that replace a field: the several ids and capabilities of credentials.
const FIELDS: &[(&str, &str)] = &[
    ("uid", "euid"),
    ("euid", "uid"),
    ("suid", "uid"),
    ("fsuid", "uid"),
    ("gid", "egid"),
    ("egid", "gid"),
    ("sgid", "gid"),
    ("fsgid", "gid"),
    ("cap_permitted", "cap_effective"),
    ("cap_effective", "cap_permitted"),
];

/// Constants of one family.
const CONSTANTS: &[(&str, &str)] = &[
    ("CAP_SETUID", "CAP_SETGID"),
    ("CAP_SETGID", "CAP_SETUID"),
    ("CAP_NET_ADMIN", "CAP_SYS_ADMIN"),
    ("KEY_NEED_SEARCH", "KEY_NEED_VIEW"),
    ("KEY_NEED_SETATTR", "KEY_NEED_VIEW"),
    ("KEY_NEED_WRITE", "KEY_NEED_VIEW"),
    ("TASK_KILLABLE", "TASK_UNINTERRUPTIBLE"),
    ("PIDTYPE_TGID", "PIDTYPE_PID"),
    ("INVALID_UID", "GLOBAL_ROOT_UID"),
    ("KEYRING_SEARCH_LOOKUP_DIRECT", "KEYRING_SEARCH_LOOKUP_ITERATE"),
    ("KEYRING_SEARCH_LOOKUP_ITERATE", "KEYRING_SEARCH_LOOKUP_DIRECT"),
];

/// Errors that are mistaken for each other. Others are replaced by `EIO`.
const ERRORS: &[(&str, &str)] = &[
    ("EACCES", "EPERM"),
    ("EPERM", "EACCES"),
    ("EKEYREVOKED", "EKEYEXPIRED"),
    ("EKEYEXPIRED", "EKEYREVOKED"),
    ("ENOKEY", "EAGAIN"),
    ("EAGAIN", "ENOKEY"),
    ("EINVAL", "EPERM"),
    ("EIO", "EPERM"),
];

pub(super) fn function(name: &str) -> Option<&'static str> {
    let either = FUNCTIONS.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
    either.into_iter().find(|(one, _)| *one == name).map(|(_, other)| other)
}

pub(super) fn field(name: &str) -> Option<&'static str> {
    find(FIELDS, name)
}

pub(super) fn constant(name: &str) -> Option<&'static str> {
    find(CONSTANTS, name)
}

pub(super) fn error(name: &str) -> &'static str {
    find(ERRORS, name).unwrap_or("EIO")
}

/// Returns true for a function of two operands whose order has no meaning.
pub(super) fn is_symmetric(name: &str) -> bool {
    matches!(name, "uid_eq" | "gid_eq" | "min" | "max" | "swap")
}

fn find(pairs: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    pairs.iter().find(|(one, _)| *one == name).map(|(_, other)| *other)
}
