if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null 2>&1 || :
fi
# An upgrade restarts it in one step: systemd keeps the probes meanwhile, and nothing is missed.
if [ "$1" -ge 1 ]; then
    systemctl try-restart service-watchdog.service >/dev/null 2>&1 || :
fi
