//! Parser of a mail's subject: `Re:`, `[PATCH v2 03/17]`, title.

/// The subject of a mail, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The first line of the commit's message, as `git am` makes it.
    pub(super) title: String,
    /// True if the mail replies to another one, or forwards it.
    pub(super) is_reply: bool,
    /// The patch's place in its series.
    pub(super) number: Option<Number>,
    pub(super) version: Version,
    /// True if there is anything before the title.
    pub(super) is_tagged: bool,
}

/// `3/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Counted from 1. The cover letter is 0.
    pub(super) place: usize,
    pub(super) total: usize,
}

/// `v2`, or `v2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Default for Version {
    fn default() -> Self {
        Self(1, 0)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(major, 0) => write!(f, "v{major}"),
            Self(major, minor) => write!(f, "v{major}.{minor}"),
        }
    }
}

impl Subject {
    /// Parses the output of `git mailinfo -k`.
    pub(super) fn parse(decoded: &str) -> Self {
        let title = title(decoded);
        let (tags, _) = decoded.split_at(decoded.len() - title.len());
        let tags = if tags.contains('[') { tags } else { tags_behind_words(decoded) };
        let groups = tags.split('[').skip(1).filter_map(|group| group.split_once(']'));
        let groups: Vec<&str> = groups.map(|(inside, _)| inside).collect();
        let is_about = |group: &&&str| is_about_a_patch(group);
        let number = groups.iter().filter(is_about).chain(&groups).find_map(|group| number(group));
        let versions: Vec<Version> =
            groups.iter().flat_map(|group| words(group)).filter_map(version).collect();
        Self {
            title: title.split_whitespace().collect::<Vec<_>>().join(" "),
            is_reply: is_reply(decoded),
            number,
            // `[PATCH v6.12 v2]`: a kernel's version is not a version of a series.
            version: versions.iter().find(|one| one.1 == 0).or(versions.first()).copied().unwrap_or_default(),
            is_tagged: !tags.is_empty(),
        }
    }
}

/// Returns the subject without the prefixes that `git mailinfo` removes.
fn title(decoded: &str) -> &str {
    let mut rest = decoded;
    loop {
        let shorter = rest.trim_start_matches([' ', '\t', ':']);
        let shorter = match shorter.get(..3) {
            Some(start) if start.eq_ignore_ascii_case("re:") => &shorter[3..],
            _ => shorter,
        };
        let shorter = match shorter.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some((_, behind)) => behind,
            None => shorter,
        };
        if shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

/// Returns tags that git takes for a part of the title. Mailers mark replies in many languages, and
/// gateways mark external mail.
fn tags_behind_words(decoded: &str) -> &str {
    let tag = first_patch_tag(decoded);
    tag.map_or("", |at| &decoded[at..decoded.len() - title(&decoded[at..]).len()])
}

/// Returns the position of the first bracket that is about a patch.
fn first_patch_tag(decoded: &str) -> Option<usize> {
    let starts = decoded.match_indices('[').map(|(at, _)| at);
    starts.into_iter().find(|at| {
        decoded[at + 1..]
            .split_once(']')
            .is_some_and(|(group, _)| is_about_a_patch(group) || number(group).is_some())
    })
}

/// Returns true if there is a mark such as `Re:` before the patch tag, or before a title without a
/// tag.
fn is_reply(decoded: &str) -> bool {
    match first_patch_tag(decoded) {
        Some(tag) => {
            let before = outside_of_brackets(&decoded[..tag]);
            let mark = before.trim_end().strip_suffix([':', '：']).map(str::trim_end);
            mark.and_then(|mark| mark.split([' ', ':']).next_back()).is_some_and(is_reply_mark)
        }
        None => {
            let untagged = outside_of_brackets(decoded);
            untagged.trim_start().split_once(':').is_some_and(|(mark, _)| is_reply_mark(mark.trim_end()))
        }
    }
}

/// Returns true for a mailer's mark of a reply or a forwarded mail. Any other word may be a
/// subsystem or a gateway's mark.
fn is_reply_mark(word: &str) -> bool {
    const MARKS: [&str; 18] = [
        "re", "aw", "antw", "fw", "fwd", "wg", "sv", "vs", "odp", "ynt", "res", "回复", "回覆", "答复",
        "转发", "轉寄", "返信", "답장",
    ];
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit() || "()^".contains(c)).to_lowercase();
    MARKS.contains(&word.as_str())
}

fn outside_of_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    let mut outside = String::new();
    for character in text.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(character),
            _ => {}
        }
    }
    outside
}

fn is_about_a_patch(group: &str) -> bool {
    words(group).any(|word| strip_name(word).is_some())
}

/// Returns the rest of a word behind `PATCH` or `RFC`: `PATCHv2`.
fn strip_name(word: &str) -> Option<&str> {
    ["patch", "rfc"].iter().find_map(|name| {
        let start = word.get(..name.len())?;
        start.eq_ignore_ascii_case(name).then(|| word[name.len()..].trim_start_matches('-'))
    })
}

fn words(group: &str) -> impl Iterator<Item = &str> {
    group.split([' ', '\t', ',', ';', '_', '(', ')']).filter(|word| !word.is_empty())
}

/// Parses the 3 and 17 of `PATCH v2 03/17`, or of `PATCH 3 of 17`.
fn number(group: &str) -> Option<Number> {
    let words: Vec<&str> = words(group).map(|word| strip_name(word).unwrap_or(word)).collect();
    let slashed = words.iter().filter_map(|word| word.split_once('/'));
    let spelled = words.windows(3).filter(|three| three[1] == "of").map(|three| (three[0], three[2]));
    slashed.chain(spelled).find_map(|(place, total)| {
        let number = Number { place: digits(place)?, total: digits(total)? };
        (number.total > 0).then_some(number)
    })
}

fn version(word: &str) -> Option<Version> {
    let number = strip_name(word).unwrap_or(word).strip_prefix(['v', 'V'])?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some(Version(digits(major)?, digits(minor)?))
}

/// Parses a number without a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subprocess::{git, read};

    #[test]
    fn subjects_of_every_tool_are_parsed() {
        let numbered = [
            ("[PATCH v2 03/17] a", 3, 17, "v2"),
            ("[list] [PATCH 01/18] a", 1, 18, "v1"),
            ("[list 12/34] [PATCH 01/18] a", 1, 18, "v1"),
            ("[PATCH tree/next 01/18] a", 1, 18, "v1"),
            ("[RFC PATCH 1/2] a", 1, 2, "v1"),
            ("[RFCv3 1/2] a", 1, 2, "v3"),
            ("[PATCHv2 1/2] a", 1, 2, "v2"),
            ("[PATCH-v2 1/2] a", 1, 2, "v2"),
            ("[PATCH 6.12 01/18] a", 1, 18, "v1"),
            ("[PATCH v6.12 V2 01/18] a", 1, 18, "v2"),
            ("[PATCH v2.1 1/2] a", 1, 2, "v2.1"),
            ("[v4,05/17] a", 5, 17, "v4"),
            ("[PATCH,RESEND,v2,1/2] a", 1, 2, "v2"),
            ("[PATCH 1/2 v2]a", 1, 2, "v2"),
            ("[PATCH v2][5.15/6.1] [2/2] a", 2, 2, "v2"),
            ("[PATCH 1 of 3] a", 1, 3, "v1"),
            ("[PATCH 0/3] a", 0, 3, "v1"),
            ("[EXT] [PATCH 1/3] a", 1, 3, "v1"),
        ];
        for (subject, place, total, version) in numbered {
            let parsed = Subject::parse(subject);
            let found = parsed.number.map(|number| (number.place, number.total));
            assert_eq!(
                (found, parsed.version.to_string().as_str()),
                (Some((place, total)), version),
                "{subject}"
            );
            assert_eq!((parsed.title.as_str(), parsed.is_reply), ("a", false), "{subject}");
        }
        for subject in [
            "EXTERNAL: [PATCH v2 1/3] a",
            "mm: [PATCH v2 1/3] a",
            "rv: [PATCH v2 1/3] a",
            "***SPAM*** [PATCH v2 1/3] a",
        ] {
            let parsed = Subject::parse(subject);
            assert_eq!(parsed.number, Some(Number { place: 1, total: 3 }), "{subject}");
            assert_eq!((parsed.version.to_string().as_str(), parsed.is_reply), ("v2", false), "{subject}");
        }
        for subject in ["[PATCH] a", "a 1/2", "[PATCH tree/next] 1/2", "[PATCH 1/0] a", "[PATCH +1/2] a"] {
            assert_eq!(Subject::parse(subject).number, None, "{subject}");
        }
    }

    #[test]
    fn replies_are_recognized_in_any_language() {
        let replies = [
            "Re: [PATCH 08/18] a",
            "RE:[PATCH 08/18] a",
            "[list] Re: [PATCH 08/18] a",
            "Re: [list] [PATCH 08/18] a",
            "AW: [PATCH 08/18] a",
            "Re[2]: [PATCH 08/18] a",
            "Re : [PATCH 08/18] a",
            "回复：[PATCH 08/18] a",
        ];
        for reply in replies {
            let parsed = Subject::parse(reply);
            assert!(parsed.is_reply, "{reply}");
            assert_eq!(parsed.number, Some(Number { place: 8, total: 18 }), "{reply}");
        }
        assert!(Subject::parse("Re: words").is_reply);
        assert!(Subject::parse("AW: words").is_reply);
        for patch in ["[PATCH] Re: a", "[PATCH] keys: Take [PATCH] for a", "keys: Take [1/2]", "reiserfs: a"]
        {
            assert!(!Subject::parse(patch).is_reply, "{patch}");
        }
    }

    #[test]
    fn title_equals_that_of_git() {
        let subjects = [
            "[PATCH 1/2] keys: a",
            "[list] Re: [PATCH]  keys:  a ",
            "re:[x][y]:a",
            "rcu: a",
            "[unclosed a",
            "[PATCH] [keys] a",
            "Re",
            "AW: [PATCH] a",
        ];
        for subject in subjects {
            let scratch = tempfile::tempdir().unwrap();
            let mail = format!("From: Z <z@example.org>\nSubject: {subject}\n\nwords\n");
            let about = read(git(scratch.path()).args(["mailinfo", "m", "p"]), mail.as_bytes()).unwrap();
            let title = about.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
            assert_eq!(Subject::parse(subject).title, title, "{subject}");
        }
    }
}
