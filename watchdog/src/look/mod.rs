//! Looks up the facts that the policy orders.
