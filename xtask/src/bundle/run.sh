#!/bin/sh
# Carries out one scenario on the kernel that lies beside this file, and says what came of it.
# Exit codes: 0 it passed; 1 it failed, crashed or hung; 2 it could not be carried out.
# Needs: a shell, awk@NEEDS@. See README.
scenario='@SCENARIO@'
set -u

give_up() {
	printf '%s: %s\n' "$0" "$*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd) || give_up "can't find the directory of this bundle"
cd "$here" || give_up "can't enter $here"

if command -v sha256sum >/dev/null 2>&1; then
	sums() { sha256sum -c SHA256SUMS 2>/dev/null; }
elif command -v shasum >/dev/null 2>&1; then
	sums() { shasum -a 256 -c SHA256SUMS 2>/dev/null; }
else
	sums() { printf 'nothing to check with\n' >&2; }
fi
if checked=$(sums); then :; else
	bad=$(printf '%s\n' "$checked" | sed -n 's/: FAILED.*//p' | tr '\n' ' ')
	give_up "this bundle is damaged (${bad:-SHA256SUMS }is not as it was packed): fetch or unpack it again"
fi

@CHECK@
command -v awk >/dev/null 2>&1 || give_up "this machine has no awk, which reads the console"
work=$(mktemp -d "${TMPDIR:-/tmp}/keyagents.XXXXXX") || give_up "no room for the console's log: set TMPDIR"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for file in @FILES@; do
	ln -s "$here/$file" "$work/$file"
done
cd "$work" || give_up "can't enter $work"
: >report
: >console

printf 'keyagents bundle: %s\n' "$scenario"
@COMMAND@
machine=$!
# A guest that hangs is ended.
(
	sleep @LIMIT@ &
	nap=$!
	trap 'kill "$nap"; exit' TERM
	wait "$nap" && : >late && kill "$machine"
) >/dev/null 2>&1 &
watch=$!
wait "$machine" 2>/dev/null
status=$?
kill "$watch" 2>/dev/null

verdict=$(sed -n 's/^verdict: //p' report | tail -n 1)
sed '/^verdict: /d; /^$/d' report
report=$(LC_ALL=C awk -f "$here/kernel-report.awk" console) || give_up "can't read the console: awk failed"
if [ -n "$report" ]; then
	verdict=$(printf '%s\n' "$report" | sed -n 1p)
	printf 'The kernel reported:\n'
	printf '%s\n' "$report" | sed 1d
elif [ -z "$verdict" ] && [ -e late ]; then
	verdict=hung
	printf 'Nothing came of it within @LIMIT@ s.\n'
fi
case $verdict in
passed | failed | crashed | hung | skipped | broken) printf 'verdict: %s\n' "$verdict" ;;
*)
	tail -n 20 console
	give_up "there is no verdict: the virtual machine ended with status $status, and its last output is above"
	;;
esac
case $verdict in
passed) exit 0 ;;
failed | crashed | hung) exit 1 ;;
*) exit 2 ;;
esac
