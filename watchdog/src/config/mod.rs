//! The only room that knows TOML; builds the settings that the rooms below define.
