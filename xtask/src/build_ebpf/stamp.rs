//! What lies beside the object and says where it came from.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Where an object came from.
pub(super) struct Stamp {
    /// Hash of its sources.
    pub(super) sources: String,
    /// The first line of `rustc --version`.
    pub(super) rustc: String,
    /// Version of bpf-linker.
    pub(super) linker: String,
    /// Version of the tool that stripped it.
    pub(super) strip: String,
    /// Hash of the object itself.
    pub(super) object: String,
}

impl Stamp {
    /// Reads a stamp.
    pub(super) fn read(path: &Path) -> Result<Stamp> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read {}: run `cargo xtask build-ebpf`", path.display()))?;
        let field = |name: &str| -> Result<String> {
            let found = text.lines().filter_map(|line| line.split_once(" = ")).find(|(key, _)| *key == name);
            let (_, value) = found.with_context(|| format!("{} lacks {name:?}", path.display()))?;
            Ok(value.to_owned())
        };
        Ok(Stamp {
            sources: field("sources")?,
            rustc: field("rustc")?,
            linker: field("bpf-linker")?,
            strip: field("llvm-strip")?,
            object: field("object")?,
        })
    }

    /// Writes a stamp.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = format!(
            "sources = {}\nrustc = {}\nbpf-linker = {}\nllvm-strip = {}\nobject = {}\n",
            self.sources, self.rustc, self.linker, self.strip, self.object
        );
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
