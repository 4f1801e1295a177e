//! The connection to PID 1, over its private socket or the bus: typed calls and raw signals, in the order that systemd sent them.
