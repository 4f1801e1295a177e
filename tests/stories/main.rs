//! The stories, one module each, on a real systemd with real servers and real probes in the kernel. `cargo xtask test` runs
//! them. What the system shows is judged first (the unit's state, its main process, what clients are answered, how often it
//! was started), then what watchdog tells.

mod a10_slow_stop;
mod a11_deaf_to_term;
mod a12_budget;
mod a16_address;
mod a1_death;
mod a21_one_incident;
mod a22_backoff;
mod a23_warm_up;
mod a24_story;
mod a26_https;
mod a2_hang;
mod a3_front_and_back;
mod a4_at_once;
mod a5_body;
mod a6_deadline;
mod a7_status;
mod a8_others;
mod b12_systemd_first;
mod b1_clean_end;
mod bad_input;
mod c10_systemd_alone;
mod c13_own_death;
mod c18_pid_file;
mod c19_reload;
mod c1_tcp;
mod c3_port;
mod c4_own_ports;
mod c8_port_held;
mod c9_identity;
mod d1_abort_in_reload;
mod d4_missed_stop;
mod d4_operator;
mod d5_plain_kill;
mod d9_success;
mod e10_lock;
mod e2_identity;
mod f14_replay;
mod f16_races;
mod f17_behind_the_front;
mod f6_gates;
mod soak;
mod stage;
mod systemd;
mod the_lab;
