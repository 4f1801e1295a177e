//! What is in a package, and where.

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};

use super::{CAPABILITIES, NAME, needs, unit};

const SAMPLE: &str = include_str!("../../../watchdog/src/config/sample.toml");
const MIT: &str = include_str!("../../../LICENSE-MIT");
const README: &str = include_str!("../../../README.md");
const SYSUSERS: &str = "# members may look at a running watchdog (status, metrics)\ng watchdog -\n";
const EXAMPLE: &str = "# Every key, with its default; not read under this name. A configuration is watchdog.toml beside it, and conf.d/*.toml:\n\
# start with a few lines of your own, see watchdog.toml(5).\n\n";

/// What is in a package.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Of the package.
    pub version: String,
    /// The oldest C library that it runs with.
    pub glibc: String,
    /// Files, in the order of their places.
    pub entries: Vec<Entry>,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its absolute path.
    pub place: String,
    /// What a package manager thinks of it.
    pub kind: Kind,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What a package manager thinks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Executable.
    Program,
    /// Replaced by the next version.
    File,
    /// Kept as the administrator left it.
    Configuration,
    /// May be left out.
    Document,
}

impl Kind {
    /// The mode of such a file.
    pub fn mode(self) -> u16 {
        match self {
            Kind::Program => 0o755,
            Kind::File | Kind::Configuration | Kind::Document => 0o644,
        }
    }
}

impl Contents {
    /// Gathers them. `program` is run for what it prints of itself, and goes into the package without its symbols.
    pub fn of(program: &Path, version: &str) -> Result<Contents> {
        let mut contents =
            Contents { version: version.into(), glibc: needs::glibc(program)?, entries: Vec::new() };
        contents.add(format!("/usr/bin/{NAME}"), Kind::Program, stripped(program)?);
        contents.add(
            format!("/usr/lib/systemd/system/{NAME}.service"),
            Kind::File,
            unit::packaged()?.into_bytes(),
        );
        contents.add(format!("/usr/lib/sysusers.d/{NAME}.conf"), Kind::File, SYSUSERS.into());
        let example = format!("{EXAMPLE}{SAMPLE}").into_bytes();
        contents.add("/etc/watchdog/watchdog.toml.example".into(), Kind::Configuration, example);
        contents.papers(program)?;
        contents.catalogues()?;
        contents.document("copyright", copyright().into_bytes());
        contents.document("README.md", README.into());
        contents.document("examples/capabilities.conf", CAPABILITIES.into());
        Ok(contents)
    }

    /// One more document.
    pub fn document(&mut self, name: &str, bytes: Vec<u8>) {
        self.add(format!("/usr/share/doc/{NAME}/{name}"), Kind::Document, bytes);
    }

    /// The file at this place.
    pub fn at(&self, place: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.place == place)
    }

    fn add(&mut self, place: String, kind: Kind, bytes: Vec<u8>) {
        self.entries.push(Entry { place, kind, bytes });
        self.entries.sort_by(|one, other| one.place.cmp(&other.place));
    }

    /// Man pages, completions and JSON Schemas, which the program writes of itself by the name it has in the package.
    fn papers(&mut self, program: &Path) -> Result<()> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut command = Command::new(program);
        command.arg0(NAME).arg("papers").arg(folder.path());
        let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} papers: {}\n{said}", program.display(), output.status);
        for path in files_below(folder.path())? {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let inner = path.strip_prefix(folder.path()).context("a file outside of its folder")?;
            let place = format!("/usr/share/{}", inner.display());
            match inner.starts_with("man") {
                true => self.add(format!("{place}.gz"), Kind::Document, zipped(&bytes)?),
                false => self.add(place, Kind::File, bytes),
            }
        }
        Ok(())
    }

    /// What journald says to our messages.
    fn catalogues(&mut self) -> Result<()> {
        let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("contrib");
        for path in files_below(&contrib)? {
            if path.extension().is_some_and(|kind| kind == "catalog") {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                self.add(format!("/usr/lib/systemd/catalog/{NAME}.catalog"), Kind::File, bytes);
            }
        }
        Ok(())
    }
}

fn stripped(program: &Path) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let copy = folder.path().join(NAME);
    let mut strip = Command::new("strip");
    let status = strip.args(["--strip-all", "-o"]).arg(&copy).arg(program).status();
    ensure!(status.context("cannot run strip (Debian's package binutils)")?.success(), "strip failed");
    fs::read(&copy).with_context(|| format!("cannot read {}", copy.display()))
}

/// The same bytes for the same page: without its name and the time.
fn zipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::best());
    zipped.write_all(bytes).and_then(|()| zipped.finish()).context("cannot compress a man page")
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut ahead) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            if path.is_dir() { ahead.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// In Debian's machine-readable form.
fn copyright() -> String {
    let holder = MIT.lines().find(|line| line.starts_with("Copyright")).unwrap_or_default();
    let holder = holder.trim_start_matches("Copyright (c) ");
    let body = MIT.lines().skip_while(|line| !line.starts_with("Permission"));
    let indented: Vec<String> =
        body.map(|line| if line.is_empty() { " .".into() } else { format!(" {line}") }).collect();
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: watchdog\n\n\
         Files: *\nCopyright: {holder}\nLicense: Apache-2.0 or Expat\nComment: The crates that are built in are listed in the file `crates`.\n\n\
         License: Expat\n{}\n\nLicense: Apache-2.0\n On Debian, its text is in /usr/share/common-licenses/Apache-2.0; else see\n \
         https://www.apache.org/licenses/LICENSE-2.0\n",
        indented.join("\n")
    )
}
