# Helpers by rules.
exec 2>&1
cat >/tmp/hang <<'EOF'
#!/bin/sh
sleep 1000 &
sleep 1000
EOF
chmod +x /tmp/hang
cat >/tmp/rules <<'EOF'
create user itself:*  * /bin/keyctl instantiate %k %c %S
create user negate:*  * /bin/keyctl negate %k 30 %S
create user pipe:*    * |/bin/cat
create user fails:*   * |/bin/false
create user nothing:* * /bin/true
create user missing:* * /nonexistent
create user absent:*  * |/nonexistent
create user option:*  * /bin/keyctl instantiate %k %c %S
create user hangs:*   * /tmp/hang
negate *    *         * /bin/keyctl reject %k 30 rejected %S
EOF
keyagentd run -t user --rules /tmp/rules -- sh -c '
ask() {
    if key=$(keyctl request2 user "$1" "$2" @s 2>/tmp/error); then
        echo "$1 $(keyctl pipe $key)"
    else
        echo "$1 $(cat /tmp/error)"
    fi
}
for name in itself negate pipe fails nothing missing absent option other; do
    ask $name: "a; exit"
done
ask option:2 -x
' 2>/tmp/log
sed 's/.*by=\(.*\) ms=[0-9]* result=/\1 /' /tmp/log

keyagentd run -t user --timeout 1 --rules /tmp/rules -- sh -c '
keyctl request2 user hangs:1 x @s 2>&1
while pidof sleep; do sleep 0.05; done >/dev/null
' 2>/tmp/log
sed 's/.*result=//' /tmp/log

keyagentd run -t user --lifetime user=1000 --rules /tmp/rules -- sh -c '
keyctl request2 user pipe:1 x @s >/dev/null
grep -o " 16m .* pipe:1" /proc/keys | sed "s/ 16m .* /expires in 16 minutes: /"
' 2>&1
