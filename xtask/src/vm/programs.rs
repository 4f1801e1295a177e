//! The programs that are run in a guest.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::steps::cargo;

/// Their names and files.
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

/// The test programs, as they are built for this machine too.
pub(crate) fn build() -> Result<Programs> {
    let mut build = cargo(&["test", "--quiet", "--locked", "--workspace", "--test", "kernel", "--no-run"]);
    build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let built = build.output().context("cannot run cargo")?;
    ensure!(
        built.status.success(),
        "cannot build the programs of the guest: cargo ended with {}",
        built.status
    );
    let mut programs = BTreeMap::new();
    for line in String::from_utf8_lossy(&built.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("cannot read what cargo says")?;
        if let (Some(file), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str())
        {
            programs.insert(name.to_owned(), file.into());
        }
    }
    Ok(Programs(programs))
}

impl Programs {
    pub(crate) fn file(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).with_context(|| format!("cargo built no {name}"))
    }

    /// Whether there is a story whose name holds this text.
    pub(crate) fn has_story(&self, text: &str) -> Result<bool> {
        let list = Command::new(self.file("vm-stories")?).arg("--list").output();
        let list = list.context("cannot ask for the stories")?;
        Ok(String::from_utf8_lossy(&list.stdout).lines().any(|name| name.contains(text)))
    }
}
