//! Selection and order of the mails of a series.

use std::collections::BTreeSet;

use super::{
    mail::{Body, Mail},
    patch::Patch,
    problem::{self, SeriesProblem},
    subject::{Number, Version},
};
use crate::{Error, error::printable, plural::counted};

/// Patches and files left out of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// The cover letter with that subject.
    Cover(String),
    /// One with a diff, which is not applied either.
    CoverWithDiff(String),
    /// A reply, and whether there is a diff in it.
    Reply { name: String, has_diff: bool },
    /// A mail or a file without a diff.
    WithoutDiff(String),
    /// A patch of that version, of which there is a newer one.
    Older(Version),
    /// A second copy of a patch.
    Duplicate,
    /// A file in the directory that its `series` file does not list.
    Unlisted(String),
    /// A file with a diff in it that is not named like a patch.
    OtherName(String),
    /// A merge commit.
    Merge(String),
}

/// Nouns of those that are reported by name, singular and plural, in the order of the report.
const NOUNS: [(&str, &str); 6] = [
    ("cover letter", "cover letters"),
    ("cover letter with a diff", "cover letters with a diff"),
    ("mail without a diff", "mails without a diff"),
    ("merge commit", "merge commits"),
    ("file that `series` does not list:", "files that `series` does not list:"),
    (
        "file with a diff that is not named like a patch:",
        "files with a diff that are not named like patches:",
    ),
];

impl LeftOut {
    /// Returns the index of its noun in [`NOUNS`], and its name.
    fn named(&self) -> Option<(usize, &str)> {
        match self {
            Self::Cover(name) => Some((0, name)),
            Self::CoverWithDiff(name) => Some((1, name)),
            Self::WithoutDiff(name) => Some((2, name)),
            Self::Merge(name) => Some((3, name)),
            Self::Unlisted(name) => Some((4, name)),
            Self::OtherName(name) => Some((5, name)),
            Self::Reply { .. } | Self::Older(_) | Self::Duplicate => None,
        }
    }
}

/// Describes all of them in one sentence; `None` if there are none.
pub(super) fn words(left_out: &[LeftOut]) -> Option<String> {
    let mut parts = Vec::new();
    for (place, (noun, nouns)) in NOUNS.iter().enumerate() {
        let named = left_out.iter().filter_map(LeftOut::named).filter(|(kind, _)| *kind == place);
        let names: Vec<String> = named.map(|(_, name)| format!("`{}`", printable(name))).collect();
        match names.len() {
            0 => {}
            1 => parts.push(format!("{noun} {}", names[0])),
            count => parts.push(format!("{count} {nouns} {}", few(&names))),
        }
    }
    parts.extend(replies(left_out));
    let versions: BTreeSet<Version> = left_out
        .iter()
        .filter_map(|one| if let LeftOut::Older(version) = one { Some(*version) } else { None })
        .collect();
    for version in versions {
        let count = left_out.iter().filter(|one| **one == LeftOut::Older(version)).count();
        parts.push(format!(
            "{} of {version}, which a newer version replaces",
            counted(count, "patch", "patches")
        ));
    }
    match left_out.iter().filter(|one| **one == LeftOut::Duplicate).count() {
        0 => {}
        count => parts.push(counted(count, "duplicate", "duplicates")),
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn replies(left_out: &[LeftOut]) -> Option<String> {
    let replies: Vec<(&String, bool)> = left_out
        .iter()
        .filter_map(
            |one| if let LeftOut::Reply { name, has_diff } = one { Some((name, *has_diff)) } else { None },
        )
        .collect();
    if replies.is_empty() {
        return None;
    }
    let count = counted(replies.len(), "reply", "replies");
    let with_diff: Vec<String> = replies
        .iter()
        .filter(|(_, has_diff)| *has_diff)
        .map(|(name, _)| format!("`{}`", printable(name)))
        .collect();
    Some(match with_diff.is_empty() {
        true => count,
        false => format!("{count}, {} with a diff: {}", with_diff.len(), few(&with_diff)),
    })
}

/// Lists the first names, with the number of the others.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{}, and {more} more", names[..SHOWN].join(", ")),
    }
}

/// Returns all mails with a diff, in the order of a `series` file.
pub(super) fn as_listed(mails: Vec<Mail>, left_out: &mut Vec<LeftOut>) -> Result<Vec<Patch>, Error> {
    let mut patches = Vec::new();
    for mail in mails {
        match patch(mail)? {
            Ok(patch) => patches.push(patch),
            Err(name) => left_out.push(LeftOut::WithoutDiff(name)),
        }
    }
    Ok(patches)
}

/// Selects the patches of a series from mails in any order. Cover letters, replies, older versions
/// and duplicates are left out, and numbered patches are sorted.
///
/// `refuse` converts a problem of the whole series into an error.
pub(super) fn select(
    mails: Vec<Mail>,
    left_out: &mut Vec<LeftOut>,
    refuse: impl Fn(SeriesProblem) -> Error,
) -> Result<Vec<Patch>, Error> {
    let (mut mails, rest) = set_aside(mails, left_out);
    let is_numbered = is_numbered(&mails);
    if is_numbered {
        require_one_series(&mails).map_err(&refuse)?;
    }
    drop_older(&mut mails, is_numbered, left_out);
    drop_duplicates(&mut mails, left_out);
    if is_numbered {
        let version = mails.iter().map(|mail| mail.subject.version).max().unwrap_or_default();
        let rest: Vec<(&str, Number)> = rest
            .iter()
            .filter(|mail| mail.subject.version == version)
            .filter_map(|mail| Some((mail.name.as_str(), mail.subject.number?)))
            .filter(|(_, number)| number.place > 0)
            .collect();
        mails = numbered(mails, version, &rest).map_err(refuse)?;
    }
    as_listed(mails, left_out)
}

/// Returns true if any of the patches has a number.
pub(super) fn is_numbered(mails: &[Mail]) -> bool {
    let is_patch = |mail: &&Mail| mail.patch().is_some() && !mail.subject.is_reply;
    mails.iter().filter(is_patch).any(|mail| mail.subject.number.is_some_and(|number| number.place > 0))
}

/// Separates patches from other mails.
fn set_aside(mails: Vec<Mail>, left_out: &mut Vec<LeftOut>) -> (Vec<Mail>, Vec<Mail>) {
    let is_cover = |mail: &Mail| {
        mail.subject.number.is_some_and(|number| number.place == 0)
            || mail.patch().is_none() && mail.name.starts_with("0000-")
    };
    let is_rest = |mail: &Mail| mail.subject.is_reply || is_cover(mail) || mail.patch().is_none();
    let (rest, patches): (Vec<Mail>, Vec<Mail>) = mails.into_iter().partition(is_rest);
    for mail in &rest {
        let (name, has_diff) = (mail.name.clone(), mail.patch().is_some());
        left_out.push(if mail.subject.is_reply {
            LeftOut::Reply { name, has_diff }
        } else if is_cover(mail) {
            if has_diff { LeftOut::CoverWithDiff(name) } else { LeftOut::Cover(name) }
        } else {
            LeftOut::WithoutDiff(name)
        });
    }
    (patches, rest.into_iter().filter(|mail| !(mail.subject.is_reply && mail.patch().is_none())).collect())
}

/// Checks that the versions belong to one series: they have at least half of the titles of the
/// shorter one in common.
fn require_one_series(mails: &[Mail]) -> Result<(), SeriesProblem> {
    let titles = |is_meant: &dyn Fn(Version) -> bool| -> BTreeSet<&str> {
        let meant = mails.iter().filter(|mail| is_meant(mail.subject.version));
        meant.map(|mail| mail.subject.title.as_str()).collect()
    };
    let Some(newest) = mails.iter().max_by_key(|mail| mail.subject.version) else { return Ok(()) };
    let current = titles(&|version| version == newest.subject.version);
    for mail in mails.iter().filter(|mail| mail.subject.version < newest.subject.version) {
        let own = titles(&|version| version == mail.subject.version);
        let newer = titles(&|version| version > mail.subject.version);
        if own.intersection(&newer).count() * 2 < own.len().min(current.len()) {
            return Err(SeriesProblem::TwoSeries { first: mail.name.clone(), second: newest.name.clone() });
        }
    }
    Ok(())
}

/// Removes older versions of patches. In a series with numbers only the newest version stays.
/// Patches without numbers may each be a series, and are compared by their titles.
fn drop_older(mails: &mut Vec<Mail>, is_numbered: bool, left_out: &mut Vec<LeftOut>) {
    let known: Vec<(String, Version)> =
        mails.iter().map(|mail| (mail.subject.title.clone(), mail.subject.version)).collect();
    mails.retain(|Mail { subject, .. }| {
        let is_older = known
            .iter()
            .any(|(title, version)| *version > subject.version && (is_numbered || *title == subject.title));
        if is_older {
            left_out.push(LeftOut::Older(subject.version));
        }
        !is_older
    });
}

/// Removes duplicates: later patches with the same number and diff, or without a number from the
/// same mail. A patch may be applied again after its revert.
fn drop_duplicates(mails: &mut Vec<Mail>, left_out: &mut Vec<LeftOut>) {
    let mut kept: Vec<Mail> = Vec::new();
    for mail in mails.drain(..) {
        let is_there = kept.iter().any(|other| is_same(other, &mail));
        if is_there {
            left_out.push(LeftOut::Duplicate);
        } else {
            kept.push(mail);
        }
    }
    *mails = kept;
}

fn is_same(one: &Mail, other: &Mail) -> bool {
    let (Some(patch), Some(twin)) = (one.patch(), other.patch()) else { return false };
    let is_one_mail = || patch.title == twin.title && patch.date == twin.date;
    one.subject.number == other.subject.number
        && patch.diff == twin.diff
        && (one.subject.number.is_some() || is_one_mail())
}

/// Sorts mails by their numbers, of which each must occur once.
fn numbered(mails: Vec<Mail>, version: Version, rest: &[(&str, Number)]) -> Result<Vec<Mail>, SeriesProblem> {
    let (with, without): (Vec<Mail>, Vec<Mail>) =
        mails.into_iter().partition(|mail| mail.subject.number.is_some());
    let mut ordered: Vec<(Number, Mail)> =
        with.into_iter().filter_map(|mail| Some((mail.subject.number?, mail))).collect();
    ordered.sort_by_key(|(number, _)| number.place);
    let Some((Number { total, .. }, first)) = ordered.first() else { return Ok(without) };
    let (total, name) = (*total, |mail: &Mail| mail.name.clone());
    if let Some(mail) = without.first() {
        return Err(SeriesProblem::Mixed { numbered: name(first), unnumbered: name(mail) });
    }
    if let Some((_, mail)) = ordered.iter().find(|(number, _)| number.total != total) {
        return Err(SeriesProblem::TwoSeries { first: name(first), second: name(mail) });
    }
    if let Some((_, mail)) = ordered.iter().find(|(number, _)| number.place > total) {
        return Err(SeriesProblem::Beyond { name: name(mail) });
    }
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (first, second) = (name(&pair[0].1), name(&pair[1].1));
        return Err(SeriesProblem::SameNumber { place: pair[0].0.place, total, first, second });
    }
    let there: BTreeSet<usize> = ordered.iter().map(|(number, _)| number.place).collect();
    let count = total - there.range(1..=total).count();
    if count > 0 {
        let first = (1..=total).filter(|place| !there.contains(place)).take(problem::NAMED).collect();
        let lost = rest.iter().find(|(_, number)| number.total == total && !there.contains(&number.place));
        let left_out = lost.map(|(name, _)| (*name).to_owned());
        let version = (version != Version::default()).then(|| version.to_string());
        return Err(SeriesProblem::Missing { first, count, total, version, left_out });
    }
    Ok(ordered.into_iter().map(|(_, mail)| mail).collect())
}

/// Returns the mail's patch, or the mail's name if it has none.
fn patch(mail: Mail) -> Result<Result<Patch, String>, Error> {
    match mail.body {
        Body::Text => Ok(Err(mail.name)),
        Body::Unfit(_, why) => Err(Error::NotAPatch { patch: mail.name, why }),
        Body::Patch(patch) => Ok(Ok(patch)),
    }
}
