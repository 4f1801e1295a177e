//! What the program needs of a host: libraries, as far back as its symbols say.

use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection};

/// The newest version of the C library that one of its symbols asks for, such as `2.34`.
pub(super) fn glibc(program: &Path) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let file =
        object::File::parse(&*bytes).with_context(|| format!("{} is no program", program.display()))?;
    let names = file.section_by_name(".dynstr").context("the program is linked to no library")?;
    let names = names.data().context("cannot read the names of the program's symbols")?;
    newest(names).with_context(|| format!("{} asks for no version of the C library", program.display()))
}

fn newest(names: &[u8]) -> Option<String> {
    let names = names.split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok());
    let versions = names.filter_map(|name| {
        let version = name.strip_prefix("GLIBC_")?;
        let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        Some((parts?, version.to_owned()))
    });
    versions.max().map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn versions_are_compared_by_number_and_private_ones_left_out() {
        let names = b"\0malloc\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.4\0GLIBC_PRIVATE\0GCC_3.0\0";
        assert_eq!(newest(names).as_deref(), Some("2.34"));
        assert_eq!(newest(b"\0malloc\0"), None);
    }
}
