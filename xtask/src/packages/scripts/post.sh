unit=service-watchdog.service
@name@

systemd-sysusers service-watchdog.conf || :
link_short_name
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null 2>&1 || :
fi
# the distribution's presets say whether it is enabled
if [ "$1" -eq 1 ]; then
    systemctl --no-reload preset $unit >/dev/null 2>&1 || :
fi
