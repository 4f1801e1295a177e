//! What this program is called: packages give it a name that nobody else has.

use std::{env, path::Path, sync::LazyLock};

/// The name by which it was called, for what people are told to type.
pub(super) fn called() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| called_by(env::args().next().as_deref()));
    &NAME
}

fn called_by(first: Option<&str>) -> String {
    let name = first.and_then(|path| Path::new(path).file_name()?.to_str());
    name.unwrap_or("watchdog").to_owned()
}

#[cfg(test)]
mod tests {
    use super::called_by;

    #[test]
    fn it_goes_by_the_name_that_it_was_called_by() {
        assert_eq!(called_by(Some("/usr/bin/service-watchdog")), "service-watchdog");
        assert_eq!(called_by(Some("watchdog")), "watchdog");
        assert_eq!(called_by(None), "watchdog");
    }
}
