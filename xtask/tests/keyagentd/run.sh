# `keyagentd run`, with a program in place of rules.
exec 2>&1
ask='keyctl pipe $(keyctl request2 user "$1" "$2" @s)'

echo "payload: $(keyagentd run -t user --exec 'tr a-z A-Z' -- sh -c "$ask" - greeting hello)"

cat >/tmp/facts <<'EOF'
#!/bin/sh
# Descriptors beyond the first three, and signals that are blocked or ignored, would be counted, too.
descriptors=$(ls /proc/self/fd | grep -vc '[0123]')
signals=$(grep -E 'Sig(Blk|Ign)' /proc/self/status | grep -vc '0000000000000000$')
unset KEY_SERIAL SHLVL _ OLDPWD
echo "$(env | sort | tr '\n' ' ')$(cat) $descriptors $signals"
EOF
chmod +x /tmp/facts
keyagentd run -t user --exec /tmp/facts -- sh -c "$ask" - '-d $(x)' '-c "y"' 5</dev/null

echo "errors:"
keyagentd run -t user --exec 'sh -c "exit $KEY_DESCRIPTION"' -- sh -c '
    for code in 1 65 75 77 3; do keyctl request2 user $code "" @s; done' 2>&1 | grep request_key

echo "too much:"
keyagentd run -t user --exec 'head -c 1048576 /dev/zero' -- keyctl request2 user k '' @s 2>&1 | sed 's/.*result=//'

echo "itself: $(keyagentd run -t user --exec 'sh -c "keyctl instantiate $KEY_SERIAL itself 0"' -- sh -c "$ask" - k '')"
echo "user: $(keyagentd run -t user --user 1000:1000 --exec 'id -u' -- sh -c "$ask" - k '')"

keyagentd run -t user --exec cat -- sh -c 'exit 7'; echo "exit: $?"
keyagentd run -t user --exec cat -- sh -c 'kill -TERM $$'; echo "signal: $?"
keyagentd run -t user --exec cat -- sh -c 'trap "exit 9" TERM; kill -TERM $PPID; sleep 1000 & wait'; echo "forwarded: $?"
# An orphan has its name until it is waited for.
/usr/bin/unshare --pid --fork --mount-proc keyagentd run -t user --exec cat -- sh -c '
    sh -c "cp /bin/busybox /tmp/sleep; /tmp/sleep 2 & exit"
    is_there() { grep -qs "^sleep" /proc/[0-9]*/comm; }
    until is_there; do :; done
    while is_there; do sleep 0.02; done
    exit 8'; echo "as process 1: $?"
keyagentd run -t user --exec cat -- /nonexistent; echo "not found: $?"
keyagentd run -t user --exec cat -- /etc; echo "not executable: $?"
