# `watchdog` for short, only where no other program has that name: Debian's package `watchdog` has /usr/sbin/watchdog, a
# daemon for hardware watchdogs, and it must never be started by who wants to see ours. `service-watchdog` is always there.
short=/usr/bin/watchdog
is_ours() { [ "$(readlink -f "$1" 2>/dev/null)" = /usr/bin/service-watchdog ]; }
link_short_name() {
    for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        if [ -e "$folder/watchdog" ] && ! is_ours "$folder/watchdog"; then
            unlink_short_name
            return 0
        fi
    done
    ln -sf service-watchdog $short
}
unlink_short_name() {
    if [ -L $short ] && [ "$(readlink $short)" = service-watchdog ]; then
        rm -f $short
    fi
}
