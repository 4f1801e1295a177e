//! What it prints of itself: man pages and completions, made of the same words as `--help`, and JSON Schemas. Packages install them.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use clap::{Command, ValueEnum as _};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{Exit, complain, schema};
use crate::{
    called::{by, called},
    config,
};

/// `watchdog papers`.
#[derive(Debug, clap::Args)]
pub(super) struct Papers {
    /// Where they go: folders as below /usr/share
    folder: PathBuf,
}

impl Papers {
    pub(super) fn main(self) -> Exit {
        match write_all(&self.folder, called()) {
            Ok(()) => Exit::Ok,
            Err(fault) => {
                complain(format_args!("cannot write into {}: {fault}", self.folder.display()));
                Exit::System
            }
        }
    }
}

fn write_all(folder: &Path, name: &str) -> io::Result<()> {
    let own = super::command(name).disable_help_subcommand(true);
    let mut command = own.name(lasting(name)).bin_name(lasting(name));
    command.build();
    let man = folder.join("man");
    page(&man, &command, name)?;
    put(&man.join("man5/watchdog.toml.5"), configuration(name).as_bytes())?;
    let places = [
        (Shell::Bash, format!("bash-completion/completions/{name}")),
        (Shell::Zsh, format!("zsh/site-functions/_{name}")),
        (Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
    ];
    for (shell, place) in places {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut text);
        put(&folder.join(place), &text)?;
    }
    for of in schema::Of::value_variants() {
        let of_what = of.to_possible_value().ok_or(ErrorKind::InvalidInput)?;
        put(
            &folder.join(name).join(format!("{}.schema.json", of_what.get_name())),
            by(&of.text()?, name).as_bytes(),
        )?;
    }
    Ok(())
}

/// clap wants names that last; there are a few dozen, once.
fn lasting(name: &str) -> &'static str {
    String::leak(name.to_owned())
}

/// The page of this command, and one for each command below it.
fn page(man: &Path, command: &Command, name: &str) -> io::Result<()> {
    let below = || command.get_subcommands().filter(|below| !below.is_hide_set());
    let mut text = Vec::new();
    Man::new(command.clone().name(lasting(name)))
        .section("8")
        .manual("System administration")
        .render(&mut text)?;
    put(&man.join(format!("man8/{name}.8")), &text)?;
    for below in below() {
        page(man, below, &format!("{name}-{}", below.get_name()))?;
    }
    Ok(())
}

/// The page of the configuration: the sample, which names each key with its default.
fn configuration(name: &str) -> String {
    let sample = by(config::SAMPLE, name);
    let mut page = Roff::new();
    page.control("TH", ["watchdog.toml", "5", "", name, "File formats"])
        .control("SH", ["NAME"])
        .text([roman("watchdog.toml - which services are watched, how they are asked, and what is done about them")])
        .control("SH", ["DESCRIPTION"])
        .text([
            bold("/etc/watchdog/watchdog.toml"),
            roman(" and, after it and in the order of their names, the files "),
            bold("/etc/watchdog/conf.d/*.toml"),
            roman(" are one configuration in TOML. They must belong to root, and nobody else may write to them or to a folder above \
                   them. An unknown key is a fault; a configuration with faults is refused, and the one in force stays."),
        ])
        .control("PP", [])
        .text([bold(format!("{name} check")), roman(" says every fault, and what will happen in each failure class. "), bold(format!("systemctl reload {}", name)), roman(" has it read again.")])
        .control("PP", [])
        .text([
            roman("An editor that knows JSON Schemas completes keys and marks faults while one writes, after a first line "),
            bold(format!("#:schema /usr/share/{name}/config.schema.json")),
            roman(" (or wherever the output of "),
            bold(format!("{name} schema config")),
            roman(" was written to)."),
        ])
        .control("SH", ["EXAMPLE"])
        .control("nf", []);
    for line in [
        "[service.web]",
        "unit = \"nginx.service\"",
        "",
        "[service.web.heartbeat]",
        "url = \"http://www.example.com/health\"",
    ] {
        page.text([roman(line)]);
    }
    page.control("fi", [])
        .control("SH", ["KEYS"])
        .text([roman("Every key with its default, where it has one.")])
        .control("nf", []);
    for line in sample.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []).control("SH", ["SEE ALSO"]).text([
        bold(name),
        roman("(8), "),
        bold("systemd.service"),
        roman("(5)"),
    ]);
    page.render()
}

fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{super::Arguments, *};

    #[test]
    fn each_command_has_a_page_and_each_shell_its_completions_by_the_name_that_it_has() {
        let folder = tempfile::tempdir().expect("a folder");
        write_all(folder.path(), "service-watchdog").expect("papers");
        let read = |place: &str| fs::read_to_string(folder.path().join(place)).expect(place);
        let own = read("man/man8/service-watchdog.8");
        for command in Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("service-watchdog-{}", command.get_name());
            assert!(read(&format!("man/man8/{name}.8")).starts_with(".ie"), "{name}");
            assert!(own.contains(&name.replace('-', "\\-")), "{name} is not in {own}");
        }
        assert!(!folder.path().join("man/man8/service-watchdog-papers.8").exists());
        let pages = fs::read_dir(folder.path().join("man/man8")).expect("pages");
        for page in pages.map(|page| page.expect("a page").path()) {
            let text = fs::read_to_string(&page).expect("a text");
            let bare = ["`watchdog ", "sudo watchdog ", "  watchdog "];
            assert!(!bare.iter().any(|bare| text.contains(bare)), "{}: {text}", page.display());
        }
        for place in ["bash-completion/completions/service-watchdog", "zsh/site-functions/_service-watchdog"]
        {
            assert!(read(place).contains("service-watchdog"), "{place}");
        }
        assert!(read("fish/vendor_completions.d/service-watchdog.fish").contains("-c service-watchdog"));
        for of in ["config", "events", "status"] {
            let place = format!("service-watchdog/{of}.schema.json");
            let schema: serde_json::Value = serde_json::from_str(&read(&place)).expect(&place);
            assert!(schema["$schema"].as_str().is_some_and(|draft| draft.contains("2020-12")), "{place}");
            assert!(
                read("bash-completion/completions/service-watchdog").contains(of),
                "{of} is not completed"
            );
        }
    }

    #[test]
    fn the_page_of_the_configuration_has_every_line_of_the_sample() {
        let page = configuration("service-watchdog");
        let lines = page.lines().count();
        assert!(page.contains("reboot_every = ") && lines > config::SAMPLE.lines().count(), "{page}");
    }
}
