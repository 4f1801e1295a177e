#!/bin/sh
set -e
unit=service-watchdog.service

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
# The counters and what an administrator wrote stay until here.
if [ "$1" = purge ]; then
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper purge $unit >/dev/null || true
    fi
    rm -rf /var/lib/watchdog /run/watchdog /etc/watchdog /etc/systemd/system/$unit.d
fi
