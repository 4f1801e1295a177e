//! Placeholder of the probes; see the build task.
