//! What would happen, and what happened.
