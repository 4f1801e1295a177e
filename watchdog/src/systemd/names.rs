use std::{env, path::Path, sync::LazyLock};

use crate::model::Unit;

const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// The object path of a unit: each byte that is no letter or digit, and a leading digit, as `_` and two hex digits.
pub fn path_of(unit: &Unit) -> String {
    let mut path = String::with_capacity(UNITS.len() + unit.as_str().len() + 16);
    path.push_str(UNITS);
    for (at, byte) in unit.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push('_');
            path.extend(
                [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
            );
        }
    }
    path
}

/// The unit behind an object path; `None` for other objects and for names that no configuration could hold.
pub fn unit_of(path: &str) -> Option<Unit> {
    let mut rest = path.strip_prefix(UNITS)?.bytes();
    let mut name = Vec::with_capacity(rest.len());
    while let Some(byte) = rest.next() {
        if byte != b'_' {
            name.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        name.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(name).ok()?.parse().ok()
}

/// The unit of this program, for what people are told to type: a package gives both a name that Debian's hardware watchdog does
/// not have, whose unit is `watchdog.service` too.
pub fn own_unit() -> &'static str {
    static NAME: LazyLock<&str> = LazyLock::new(|| unit_of_program(env::current_exe().ok().as_deref()));
    &NAME
}

fn unit_of_program(program: Option<&Path>) -> &'static str {
    const PACKAGED: &str = "service-watchdog";
    match program.and_then(Path::file_name) {
        Some(name) if name == PACKAGED => PACKAGED,
        Some(_) | None => "watchdog",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, path: &str) {
        let unit: Unit = name.parse().expect("a unit name");
        assert_eq!(path_of(&unit), path);
        assert_eq!(unit_of(path), Some(unit));
    }

    #[test]
    fn a_packaged_program_has_a_packaged_unit() {
        assert_eq!(unit_of_program(Some(Path::new("/usr/bin/service-watchdog"))), "service-watchdog");
        assert_eq!(unit_of_program(Some(Path::new("/usr/local/bin/watchdog"))), "watchdog");
        assert_eq!(unit_of_program(None), "watchdog");
    }

    #[test]
    fn a_unit_and_its_object_path_lead_to_each_other() {
        check("nginx.service", "/org/freedesktop/systemd1/unit/nginx_2eservice");
        check("php8.2-fpm.service", "/org/freedesktop/systemd1/unit/php8_2e2_2dfpm_2eservice");
        check("3proxy.service", "/org/freedesktop/systemd1/unit/_33proxy_2eservice");
        check("a@b\\x2dc.service", "/org/freedesktop/systemd1/unit/a_40b_5cx2dc_2eservice");
    }

    #[test]
    fn what_is_no_unit_is_none() {
        for path in [
            "",
            "/",
            "/org/freedesktop/systemd1/job/12",
            "/org/freedesktop/systemd1/unit/a_",
            "/org/freedesktop/systemd1/unit/_zz",
        ] {
            assert_eq!(unit_of(path), None, "{path}");
        }
    }
}
