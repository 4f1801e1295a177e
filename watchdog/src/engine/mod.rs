//! The one `select!` loop: owns the two pure rooms, carries out their orders, and hands all inputs and outputs to the stream.

mod settings;

pub use settings::Settings;
