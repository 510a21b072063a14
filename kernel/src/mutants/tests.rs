//! Tests on small C files, which gcc compiles.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use rstest::rstest;

use super::{MutantSet, compile, schemata};
use crate::{ChangedFile, Fragment, testutil::lacks_make};

/// Returns the mutants of a new file.
fn set_of(text: &str) -> MutantSet {
    let lines = (1..=text.lines().count()).collect();
    set_with(text, lines)
}

fn set_with(text: &str, lines: std::collections::BTreeSet<usize>) -> MutantSet {
    let file = ChangedFile { path: "a.c".to_owned(), text: text.to_owned(), is_new: false, lines };
    let fragment = Fragment::parse(Path::new("x.config"), "CONFIG_ON=y\n").unwrap();
    MutantSet::of(&[file], &[fragment])
}

/// Returns the mutants of one operator as `original → changed`.
fn changes(set: &MutantSet, operator: &str) -> Vec<String> {
    let of = set.mutants.iter().filter(|mutant| mutant.operator == operator);
    of.map(|mutant| format!("{} → {}", mutant.original, mutant.changed)).collect()
}

#[rstest]
#[case("int f(int a) { if (a < 3) g(); return a; }", "negate-condition", &["a < 3 → !(a < 3)"])]
#[case("int f(int a) { if (a < 3) g(); return a; }", "skip-condition", &["a < 3 → 0"])]
#[case("void f(int a) { if (unlikely(a)) g(); }", "force-condition", &["a → 1"])]
#[case("void f(int a) { while (a) g(); }", "skip-loop", &["a → 0"])]
#[case("void f(void) { list_for_each(a, &b) { g(); h(); } }", "skip-loop", &["list_for_each(a, &b) → "])]
#[case("int f(int a) { if (a < 3) g(); return a; }", "change-operator", &["a < 3 → a <= 3"])]
#[case("int f(int a, int b) { return g(a == b); }", "change-operator", &["a == b → a != b"])]
#[case("void f(struct s *s) { s->n++; g(); }", "change-operator", &["s->n++ → s->n--"])]
#[case("bool f(int a) { return a && g() && h(); }", "drop-operand", &["a && g() → !!(g())", "a && g() → !!(a)", "a && g() && h() → !!(a && g())"])]
#[case("void f(void) { g(A | B | C); }", "drop-flag", &["A | B → B", "A | B → A", "A | B | C → A | B"])]
#[case("void f(int a) { g(a & ~B); }", "drop-flag", &["a & ~B → a"])]
#[case("int f(void) { g(); return -EACCES; }", "swap-error", &["-EACCES → -EPERM"])]
#[case("int f(void) { g(); return -EACCES; }", "drop-error", &["-EACCES → 0"])]
#[case("void f(int a) { g(a + 8); h(0); }", "change-number", &["8 → 8 + 1", "0 → 1"])]
#[case("void f(void) { g(); h(); }", "delete-statement", &["g(); → ", "h(); → "])]
#[case("void f(int a) { if (a) goto out; g(); out: h(); }", "delete-statement", &["g(); → ", "h(); → "])]
#[case("void f(void) { spin_lock(&l); g(); spin_unlock(&l); }", "delete-lock", &["spin_lock(&l); → without the lock"])]
#[case("void f(void) { spin_lock(&l); g(); spin_unlock(&m); }", "delete-lock", &[])]
#[case("struct k *f(struct k *k) { return key_get(k); }", "drop-reference", &["key_get(k) → k"])]
#[case("void f(uid_t a, uid_t b, int c) { g(a, b, c); }", "swap-arguments", &["g(a, b, c) → g(b, a, c)"])]
#[case("void f(struct c *c) { g(c->euid); c->uid = 0; }", "swap-field", &["c->euid → c->uid"])]
#[case("void f(void) { g(current_cred()); }", "swap-call", &["current_cred() → current_real_cred()"])]
#[case("int f(int a) { g(); return a; }", "early-return", &["f() { … } → return 0"])]
#[case("bool f(int a) { g(); return a; }", "early-return", &["f() { … } → return false", "f() { … } → return true"])]
#[case("void f(int a) { struct s s = { .a = a }; g(&s); }", "clear-initialiser", &["a → 0"])]
#[case("int f(int a, int b) { g(); return a ?: b; }", "skip-condition", &["a ?: b → b"])]
fn operator_makes_these_mutants(#[case] text: &str, #[case] operator: &str, #[case] expected: &[&str]) {
    assert_eq!(changes(&set_of(text), operator), expected, "{text}");
}

#[rstest]
#[case::reports(
    "void f(int a) { pr_info(\"%d\", a + 1); WARN_ON(a == 1); trace_x(a + 1); lockdep_assert_held(&a); }"
)]
#[case::constants(
    "static int a = 1 + 2;\nstruct s { int b[3]; };\nenum e { A = 1 | 2 };\n#define X (1 + 2)\nstatic int t[] = { 1 | 2 };"
)]
#[case::for_lockdep("void f(int a) { struct s *b = rcu_dereference_protected(a, true); }")]
#[case::sizes("void f(void) { static int a = 7; int b = sizeof(int[4]); }")]
#[case::left_out("#ifndef CONFIG_ON\nint f(int a) { g(); return a + 1; }\n#endif")]
#[case::other_branch("#ifdef CONFIG_ON\n#else\nint f(int a) { g(); return a + 1; }\n#endif")]
fn code_without_behaviour_has_no_mutants(#[case] text: &str) {
    let set = set_of(text);
    let rest = set.mutants.iter().filter(|mutant| mutant.operator != "early-return");
    assert_eq!(rest.map(|mutant| &mutant.original).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn only_lines_of_the_series_are_mutated() {
    let text = "int f(int a)\n{\n\tif (a == 1)\n\t\tg();\n\treturn a == 2 ||\n\t\ta == 3;\n}\n";
    let set = set_with(text, [6].into());
    let places: Vec<_> = set.mutants.iter().map(|it| (it.line, it.column, it.operator.as_str())).collect();
    assert_eq!(
        places,
        [(5, 9, "change-return"), (6, 3, "drop-operand"), (6, 5, "change-operator"), (6, 8, "change-number")]
    );
}

#[test]
fn function_of_a_system_call_has_its_name() {
    let set = set_of("SYSCALL_DEFINE1(add_key, const char __user *, type)\n{\n\tg();\n\treturn 0;\n}\n");
    assert!(set.mutants.iter().all(|mutant| mutant.function == "add_key"), "{:?}", set.mutants);
    assert!(!set.mutants.is_empty());
}

/// A program whose functions have nested mutants of many operators.
const PROGRAM: &str = "\
#include <stdio.h>
#include <stdlib.h>
#define list_for_each(i, n) for (i = 0; i < (n); i++)
#define unlikely(x) (x)
struct pair { int a; int *p; };

static int sum(const int *numbers, int count, int limit)
{
	int i, total = 0;

	list_for_each(i, count)
		total += numbers[i];
	if (unlikely(total > limit && count != 3 ||
		     /* two lines */ !limit))
		return -EINVAL;
	for (i = 0; i < 2 && i != count; i++) {
		if (numbers[i] == 5)
			continue;
		total = total + (i << 1 | 4);
	}
	return total ?: limit;
}

static int *choose(struct pair *pair, int which)
{
	struct pair other = { .a = which + 1, .p = &pair->a };

	if (!pair->p)
		goto out;
	else
		pair->a--;
	return which ? pair->p : other.p;
out:
	pair->a = other.a;
	return &pair->a;
}

int main(int argc, char **argv)
{
	static int space[4096] = { [2048] = 1, 5, 3, 9 };
	int *numbers = space + 2048;
	struct pair pair = { .a = 4, .p = numbers };

	printf(\"%d \", sum(numbers, 2, 10));
	printf(\"%d \", sum(numbers, 4, 10));
	printf(\"%d \", sum(numbers, 3, 0));
	printf(\"%d \", *choose(&pair, 1));
	pair.p = NULL;
	printf(\"%d \", *choose(&pair, 0));
	printf(\"%d\", pair.a);
	return 0;
}
";

/// Compiles a program. Returns the compiler's messages.
fn compiled(directory: &Path, name: &str, text: &str) -> String {
    let source = directory.join(format!("{name}.c"));
    fs::write(&source, text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.current_dir(directory).env("LC_ALL", "C").args([
        "-w",
        "-DEINVAL=22",
        "-DEPERM=1",
        "-DEIO=5",
        "-o",
        name,
    ]);
    String::from_utf8(gcc.arg(format!("{name}.c")).output().unwrap().stderr).unwrap()
}

/// Returns a program's output, or its signal.
fn printed(directory: &Path, name: &str, argument: &str) -> String {
    // A limit of processor time ends an endless loop, however busy the machine is.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -t 1; exec \"$0\""]).arg(directory.join(name)).env("MUTANT", argument);
    let output = command.output().unwrap();
    format!("{} {}", String::from_utf8(output.stdout).unwrap(), output.status)
}

#[test]
fn each_mutant_in_the_program_with_all_of_them_is_the_program_with_that_one() {
    if lacks_make() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    let lines = (7..37).collect();
    let set = set_with(PROGRAM, lines);
    assert!(set.mutants.len() > 40, "{}", set.mutants.len());
    let selector = "int atoi(const char *); char *getenv(const char *);\n\
                    _Bool mutant(unsigned int number) { return atoi(getenv(\"MUTANT\")) == number; }\n";
    let all = schemata::mutated(PROGRAM, set.mutants.iter());
    let messages = compiled(directory, "all", &format!("{selector}{}", all.text));
    assert_eq!(messages, "");
    assert_eq!(compiled(directory, "none", PROGRAM), "");
    assert_eq!(printed(directory, "all", "0"), printed(directory, "none", ""));
    let mut differing = 0;
    for mutant in &set.mutants {
        assert_eq!(compiled(directory, "one", &mutant.applied(PROGRAM)), "", "{mutant:?}");
        let alone = printed(directory, "one", "");
        assert_eq!(printed(directory, "all", &mutant.id.to_string()), alone, "{mutant:?}");
        differing += usize::from(alone != printed(directory, "none", ""));
    }
    assert!(differing > set.mutants.len() / 2, "{differing}");
}

#[test]
fn lines_stay_where_they_are() {
    let set = set_of(PROGRAM);
    let all = schemata::mutated(PROGRAM, set.mutants.iter()).text;
    let lines: Vec<&str> = all.lines().skip(2).collect();
    assert_eq!(lines.len(), PROGRAM.lines().count());
    for (before, after) in PROGRAM.lines().zip(lines) {
        let first_word = before.split_whitespace().next().unwrap_or_default();
        assert!(after.contains(first_word.trim_end_matches(';')), "{before} / {after}");
    }
}

#[test]
fn mutant_that_does_not_compile_is_found_by_the_compilers_message() {
    if lacks_make() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let text = "struct id { int n; };\nvoid use(struct id, int);\n\nint f(struct id id)\n{\n\
                \tstruct { struct id id; int n; } s = { .id = id, .n = 7 };\n\n\tuse(s.id, s.n);\n\treturn 0;\n}\n";
    let set = set_of(text);
    let mut files = BTreeMap::from([("bad.c".to_owned(), schemata::mutated(text, set.mutants.iter()))]);
    let messages = compiled(place.path(), "bad", &files["bad.c"].text);
    let lines: Vec<String> = messages.lines().map(str::to_owned).collect();
    let bad = compile::uncompilable(&lines, &files);
    let bad: Vec<_> = bad.iter().map(|id| set.get(*id).unwrap().original.as_str()).collect();
    assert_eq!(bad, ["id"], "{messages}");
    files.clear();
}
