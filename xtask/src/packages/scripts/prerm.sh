#!/bin/sh
set -e
@name@

# not on an upgrade: it is restarted when the new program is there
if [ "$1" = remove ]; then
    if [ -d /run/systemd/system ]; then
        deb-systemd-invoke stop service-watchdog.service >/dev/null || true
    fi
    unlink_short_name
fi
