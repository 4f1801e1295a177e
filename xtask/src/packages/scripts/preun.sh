@name@

if [ "$1" -eq 0 ]; then
    systemctl --no-reload disable --now service-watchdog.service >/dev/null 2>&1 || :
    unlink_short_name
fi
