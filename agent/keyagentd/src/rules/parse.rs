//! Parser of request-key.conf(5).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::{Action, Argument, Macro};
use super::{Mistake, Pattern, Place, Rule, Severity};

/// Parses a file. Lines with errors are left out of the rules.
pub(crate) fn parse(file: &Path, text: &[u8]) -> (Vec<Rule>, Vec<Mistake>) {
    let file = Arc::new(file.to_owned());
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let place = Place { file: Arc::clone(&file), line: index + 1 };
        let mut parser = Line { place, mistakes: Vec::new() };
        let rule = parser.rule(line);
        let has_error = parser.mistakes.iter().any(|mistake| mistake.severity == Severity::Error);
        rules.extend(rule.filter(|_| !has_error));
        mistakes.append(&mut parser.mistakes);
    }
    (rules, mistakes)
}

/// A word of a line, with its column, counted from 1.
#[derive(Clone, Copy)]
struct Word<'a> {
    column: usize,
    text: &'a [u8],
}

struct Line {
    place: Place,
    mistakes: Vec<Mistake>,
}

impl Line {
    fn error(&mut self, column: usize, message: impl Into<String>) {
        self.mistakes.push(Mistake::in_line(&self.place, column, Severity::Error, message));
    }

    fn warn(&mut self, column: usize, message: impl Into<String>) {
        self.mistakes.push(Mistake::in_line(&self.place, column, Severity::Warning, message));
    }

    /// The rule of a line. `None` for a comment, an empty line, and one with too few fields.
    fn rule(&mut self, line: &[u8]) -> Option<Rule> {
        let first = *line.first()?;
        if first == b'#' {
            return None;
        }
        let mut words = words(line);
        if is_space(first) {
            if let Some(word) = words.next() {
                self.warn(word.column, "the line is ignored, as it begins with a blank; remove the blank");
            }
            return None;
        }
        if let Some(at) = line.iter().position(|byte| *byte == 0) {
            self.error(at + 1, "a NUL byte can't stand in a rule");
            return None;
        }
        let fields = ["operation", "type", "description", "callout information", "program"];
        let mut missing = |parser: &mut Self, field: usize| {
            let word = words.next();
            if word.is_none() {
                let message = format!(
                    "the {} is missing: a rule is OPERATION TYPE DESCRIPTION CALLOUT PROGRAM \
                     [ARGUMENT…]",
                    fields[field]
                );
                parser.error(line.len() + 1, message);
            }
            word
        };
        let operation = missing(self, 0)?;
        let kind = missing(self, 1)?;
        let description = missing(self, 2)?;
        let callout = missing(self, 3)?;
        let program = missing(self, 4)?;
        let arguments: Vec<_> = words.collect();
        self.check_operation(operation);
        let patterns = [operation, kind, description, callout].map(|word| self.pattern(word));
        let action = self.action(program, &arguments);
        Some(Rule { place: self.place.clone(), patterns, action })
    }

    fn check_operation(&mut self, word: Word<'_>) {
        let pattern = Pattern::new(word.text);
        if pattern.skipped(b"create").is_none() && pattern.skipped(b"negate").is_none() {
            self.warn(word.column, "the rule is never used: operations are `create` and `negate`");
        }
    }

    fn pattern(&mut self, word: Word<'_>) -> Pattern {
        let mut asterisks = word.text.iter().enumerate().filter(|(_, byte)| **byte == b'*');
        if let Some((at, _)) = asterisks.nth(1) {
            self.warn(word.column + at, "only the first `*` is a wildcard; this one stands for itself");
        }
        Pattern::new(word.text)
    }

    fn action(&mut self, program: Word<'_>, arguments: &[Word<'_>]) -> Action {
        let (is_pipe, path) = match program.text.strip_prefix(b"|") {
            Some(path) => (true, path),
            None => (false, program.text),
        };
        if !path.starts_with(b"/") {
            let column = program.column + usize::from(is_pipe);
            self.error(column, "the program's path must begin with `/`, right after the `|` if there is one");
        }
        let arguments = arguments.iter().filter_map(|word| self.argument(*word)).collect();
        Action { is_pipe, program: PathBuf::from(OsStr::from_bytes(path)), arguments }
    }

    fn argument(&mut self, word: Word<'_>) -> Option<Argument> {
        let Some(name) = word.text.strip_prefix(b"%") else {
            return Some(Argument::Literal(word.text.to_vec()));
        };
        match name {
            [b'%', ..] => Some(Argument::Literal(name.to_vec())),
            [b'{', key @ ..] => self.payload(word.column, key),
            [letter] => Macro::named(*letter).map(Argument::Macro).or_else(|| self.unknown_macro(word)),
            _ => self.unknown_macro(word),
        }
    }

    fn unknown_macro(&mut self, word: Word<'_>) -> Option<Argument> {
        self.error(
            word.column,
            "no such macro: there are %o %k %t %d %c %u %g %T %P %S and %{TYPE:DESCRIPTION}; write %% for a percent \
             sign",
        );
        None
    }

    /// `%{TYPE:DESCRIPTION}`, of which `key` is what follows the brace.
    fn payload(&mut self, column: usize, key: &[u8]) -> Option<Argument> {
        let Some((b'}', key)) = key.split_last() else {
            self.error(column, "the macro does not end with `}`; it can't contain blanks");
            return None;
        };
        let colon = key.iter().position(|byte| *byte == b':').unwrap_or_default();
        if colon == 0 || colon + 1 == key.len() || key.contains(&b'}') {
            self.error(column, "the macro must be %{TYPE:DESCRIPTION}, with both of them");
            return None;
        }
        self.warn(
            column,
            "requests that use this rule are rejected: an agent is not given the requester's keyrings, so the macro \
             finds no key",
        );
        Some(Argument::Payload(key.escape_ascii().to_string()))
    }
}

/// Words between blanks.
fn words(line: &[u8]) -> impl Iterator<Item = Word<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line[at..].iter().position(|byte| !is_space(*byte))?;
        let length = line[start..].iter().position(|byte| is_space(*byte)).unwrap_or(line.len() - start);
        at = start + length;
        Some(Word { column: start + 1, text: &line[start..at] })
    })
}

/// isspace(3) in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Question, Rules};
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let (_, mistakes) = parse(Path::new("f"), text.as_bytes());
        mistakes.iter().map(Mistake::to_string).collect()
    }

    /// The program of the rule that is found for a `user` key.
    fn found(rules: &str, description: &str) -> Option<String> {
        let (rules, mistakes) = parse(Path::new("f"), rules.as_bytes());
        assert_eq!(mistakes, []);
        let description = description.as_bytes();
        let question = Question { operation: b"create", kind: b"user", description, callout: b"foo" };
        Rules(rules).find(&question).map(|rule| rule.action.program.display().to_string())
    }

    // request-key(8) of keyutils 1.6.3 chooses the same, as `request-key -d -l` shows.
    #[test]
    fn rule_with_the_shortest_wildcards_is_found() {
        let rules = "create user debug:* * /a\ncreate user *:1234 * /b\ncreate * debug:1234 * /c\n";
        assert_eq!(found(rules, "debug:1234").as_deref(), Some("/a"));
        assert_eq!(found(rules, "debg:1234").as_deref(), Some("/b"));
        assert_eq!(found(rules, "x"), None);
        assert_eq!(
            found("create user debug:* * /a\ncreate user debug:* foo /b\n", "debug:1").as_deref(),
            Some("/b")
        );
        assert_eq!(found("create user x * /a\ncreate user x * /b\n", "x").as_deref(), Some("/a"));
        assert_eq!(
            found("# create user x * /a\n\ncreate user x * /without-newline", "x").as_deref(),
            Some("/without-newline")
        );
    }

    #[test]
    fn command_has_pipe_macros_and_escapes() {
        let (rules, mistakes) = parse(Path::new("f"), b"create\tuser  *\t* |/bin/a x%k %k %%k %% %S\r\n");
        assert_eq!(mistakes, []);
        let literal = |text: &str| Argument::Literal(text.into());
        let (key, session) = (Argument::Macro(Macro::Key), Argument::Macro(Macro::SessionKeyring));
        let arguments = vec![literal("x%k"), key, literal("%k"), literal("%"), session];
        assert_eq!(rules[0].action, Action { is_pipe: true, program: "/bin/a".into(), arguments });
    }

    #[test]
    fn mistakes_have_line_and_column() {
        let text = "create user\ncreate user * * a\ncreate user a*b* * /a %x %{user} %{u:d\ncreate user * * | /a\n \
                    create user * * /a\nupdate user * * /a %{user:d}\n";
        let mistakes = mistakes(text);
        let expected = [
            "f:1:12: error: the description is missing",
            "f:2:17: error: the program's path",
            "f:3:16: warning: only the first `*`",
            "f:3:23: error: no such macro",
            "f:3:26: error: the macro must be %{TYPE:DESCRIPTION}",
            "f:3:34: error: the macro does not end with `}`",
            "f:4:18: error: the program's path",
            "f:5:2: warning: the line is ignored",
            "f:6:1: warning: the rule is never used",
            "f:6:20: warning: requests that use this rule are rejected",
        ];
        let begins = |(mistake, expected): (&String, &&str)| mistake.starts_with(expected);
        assert!(
            mistakes.len() == expected.len() && mistakes.iter().zip(&expected).all(begins),
            "{mistakes:#?}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_rules_or_mistakes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            let (rules, mistakes) = parse(Path::new("f"), &text);
            prop_assert!(rules.len() <= lines);
            prop_assert!(mistakes.iter().all(|mistake| mistake.at.is_some_and(|(line, _)| line <= lines)));
        }

        #[test]
        fn any_words_are_a_rule_or_an_error(words in proptest::collection::vec("[%{}:*|/a-z-]{1,6}", 5..9)) {
            let (rules, mistakes) = parse(Path::new("f"), words.join(" ").as_bytes());
            let has_error = mistakes.iter().any(|mistake| mistake.severity == Severity::Error);
            prop_assert_eq!(rules.is_empty(), has_error);
        }
    }
}
