//! The package for Fedora, RHEL and others of RPM, by the crate `rpm`: no rpmbuild is needed.

use std::{
    env::consts::ARCH,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rpm::{BuildConfig, CompressionWithLevel, Dependency, FileOptions, PackageBuilder, Scriptlet};

use super::{Contents, DESCRIPTION, Kind, NAME, SUMMARY, Squeeze};

const NAME_SCRIPT: &str = include_str!("scripts/name.sh");
const POST: &str = include_str!("scripts/post.sh");
const PREUN: &str = include_str!("scripts/preun.sh");
const POSTUN: &str = include_str!("scripts/postun.sh");

/// Builds `service-watchdog-VERSION-1.ARCH.rpm` in this folder; answers its path.
pub fn build(contents: &Contents, to: &Path, squeeze: Squeeze) -> Result<PathBuf> {
    let compression = match squeeze {
        Squeeze::Well => CompressionWithLevel::Gzip(9),
        Squeeze::Quickly => CompressionWithLevel::None,
    };
    let mut package = PackageBuilder::new(NAME, &contents.version, "MIT OR Apache-2.0", ARCH, SUMMARY);
    package
        .using_config(BuildConfig::v4().compression(compression))
        .release("1")
        .description(DESCRIPTION)
        .requires(Dependency::any(format!("libc.so.6(GLIBC_{})(64bit)", contents.glibc)))
        .requires(Dependency::any("libgcc_s.so.1()(64bit)"))
        .requires(Dependency::greater_eq("systemd", "239"))
        .requires(Dependency::any("/bin/sh"))
        .requires(Dependency::any("/bin/kill"))
        .post_install_script(script(POST))
        .pre_uninstall_script(script(PREUN))
        .post_uninstall_script(script(POSTUN));
    let folders =
        ["/etc/watchdog".to_owned(), format!("/usr/share/{NAME}"), format!("/usr/share/doc/{NAME}")];
    for place in folders {
        package.with_dir_entry(FileOptions::dir(&place)).with_context(|| format!("cannot pack {place}"))?;
    }
    for entry in &contents.entries {
        let file = FileOptions::new(&entry.place).permissions(entry.kind.mode());
        let file = match entry.kind {
            Kind::Program | Kind::File => file,
            Kind::Configuration => file.config().noreplace(),
            Kind::Document => file.doc(),
        };
        let packed = package.with_file_contents(entry.bytes.clone(), file);
        packed.with_context(|| format!("cannot pack {}", entry.place))?;
    }
    let path = to.join(format!("{NAME}-{}-1.{ARCH}.rpm", contents.version));
    let package = package.build().context("cannot build the package for RPM")?;
    package.write_file(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn script(text: &str) -> Scriptlet {
    Scriptlet::new(text.replace("@name@\n", NAME_SCRIPT))
}
