//! Turns what the host says into signs.
