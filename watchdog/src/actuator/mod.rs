//! Carries out one order through systemd.
