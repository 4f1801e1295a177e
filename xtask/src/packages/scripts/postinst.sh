#!/bin/sh
set -e
unit=service-watchdog.service
@name@

case "$1" in
triggered)
    # another `watchdog` has come or gone
    link_short_name
    exit 0
    ;;
configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
*) exit 0 ;;
esac

systemd-sysusers service-watchdog.conf
link_short_name

# as the administrator left it: masked, disabled, or enabled, which is how it begins
deb-systemd-helper unmask $unit >/dev/null || true
if deb-systemd-helper --quiet was-enabled $unit; then
    deb-systemd-helper enable $unit >/dev/null || true
else
    deb-systemd-helper update-state $unit >/dev/null || true
fi
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    # An upgrade restarts it in one step: systemd keeps the probes meanwhile, and nothing is missed.
    if [ "$1" = configure ] && [ -n "$2" ]; then action=restart; else action=start; fi
    deb-systemd-invoke $action $unit >/dev/null || true
fi
