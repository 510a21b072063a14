# What others can do to the service: processes of other users that are served, a successor that fails, and a helper that
# does not end.
exec 2>&1
cd /tmp
mkfifo ready
serve() {
    keyagentd --verbose --keyring web -t user "$@" >ready 2>log &
    pid=$!
    read -r keyring <ready
}
ask() { keyctl pipe "$(keyctl request2 user "$1" x @s)"; }
other() { /usr/bin/unshare --setuid 1000 "$@"; }

serve --exec 'echo answer'
keyctl link "$keyring" @s
other keyctl clear "$keyring"
other keyctl revoke "$keyring"
other keyctl invalidate "$keyring"
other keyctl setperm "$keyring" 0x3f3f3f3f
other keyctl add user planted x "$keyring"
echo "after another user's attempts: $(ask 1)"

# There are fewer signals than types.
keyagentd --keyring web --replace -t "user$(printf ',z%s' $(seq 40))" --exec 'echo successor'
echo "after a successor's failure: $(ask 2)"

kill -KILL $pid
wait $pid 2>/dev/null
other keyctl invalidate "$keyring"
serve --exec 'echo again'
echo "after a restart: $(ask 3)"
kill $pid
wait $pid

(ulimit -i 0; exec keyagentd --keyring web -t user --exec 'echo without signals') >ready 2>log &
pid=$!
read -r keyring <ready
echo "while no signal can be sent: $(ask 5)"
kill $pid
wait $pid

cat >lingers <<'EOF'
#!/bin/sh
keyctl instantiate $KEY_SERIAL itself 0
sleep 1000
EOF
chmod +x lingers
serve --timeout 60 --exec /tmp/lingers
echo "by a helper that goes on: $(ask 4)"
until grep -o 'still running and was killed' log || grep 'not ended in time' log; do sleep 0.1; done
kill $pid
wait $pid

keyagentd run -t user --exec 'echo inside' -- sh -c '
keyring=$(keyctl search @s keyring keyagentd-run)
keyctl clear $keyring
keyctl revoke $keyring
keyctl invalidate $keyring
keyctl setperm $keyring 0x3f3f3f3f
keyctl pipe $(keyctl request2 user k x @s)'
