//! The bytes that the kernel side and the user side agree on.
#![no_std]
