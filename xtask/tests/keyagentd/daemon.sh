# The daemon: rules that change, its end, and its successor. It runs in a session keyring of its own.
exec 2>&1
cd /tmp
mkfifo ready
serve() {
    keyagentd --keyring web -t user "$@" >ready 2>>log &
    pid=$!
    read -r keyring <ready
}
ask() { keyctl pipe "$(keyctl request2 user "$1" x @s)"; }
wait_for() { until grep -qs "$1" "$2"; do sleep 0.02; done; }
chmod 777 .
mkdir rules
cat >slow <<'EOF'
#!/bin/sh
cat >started
until test -e go; do sleep 0.02; done
echo answer
EOF
sed -i '2i cd /tmp' slow
chmod +x slow

echo 'create user * * |/bin/echo old' >rules/a.conf
# Changes behind a symbolic link are not noticed.
mkdir elsewhere
ln -s elsewhere/rules linked
touch elsewhere/rules
serve --rules /tmp/rules --rules /tmp/linked
keyctl link "$keyring" @s
echo "first rules: $(ask 1)"
keyagentd --keyring web -t user --rules /tmp/rules 2>&1 | sed 's/[0-9][0-9]*/N/g'
echo 'create user' >rules/a.conf
wait_for 'old ones stay' log
grep -o 'a.conf:.*missing' log | head -n 1
echo "wrong rules: $(ask 2)"
# Files that change all the time do not put this off.
echo 'create user * * |/bin/echo new' >new
until test -e loaded; do : >rules/b.conf; done &
mv new rules/a.conf
wait_for 'loaded the rules' log
touch loaded
wait $!
echo "right rules: $(ask 3)"
number=4
echo 'create user hup* * |/bin/echo newest' >elsewhere/rules
kill -HUP $pid
until answer=$(ask hup$number) && test "$answer" = newest; do number=$((number + 1)); done
echo "after SIGHUP: $answer"
kill $pid
wait $pid
echo "ended: $?"
ask gone 2>&1 | head -n 1

serve --timeout 100 --exec /tmp/slow
ask pending >rejected 2>&1 &
asking=$!
wait_for x started
kill $pid
wait $pid
echo "ended with a request: $?"
wait $asking
head -n 1 rejected
rm started

serve --timeout 100 --exec /tmp/slow
old=$pid
ask pending >answered 2>&1 &
asking=$!
wait_for x started
serve --replace --exec 'echo successor'
kill $old
wait_for 'taken over' log
echo "after its successor has come: $(ask later)"
touch go
wait $old
echo "ended: $?"
wait $asking
echo "its request: $(cat answered)"
# It has displaced the other, whether or not anybody gets its output.
keyagentd --keyring web -t user --replace --exec 'echo second successor' >/dev/full 2>full &
second=$!
wait_for "can't print" full
echo "without standard output: $(ask full)"
kill $second
wait $second
echo "ended: $?"
kill $pid
wait $pid

/usr/bin/unshare --setuid 1000 keyctl session theirs sh -c 'keyctl setperm @s 0x3f3f0808; echo x >joined; sleep 1000' 2>/dev/null &
wait_for x joined
keyagentd --keyring theirs -t user --exec cat
echo "another user's keyring: $?"
