use proptest::prelude::*;

use super::{folder, write};
use crate::config::load;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_settings_or_in_faults_that_can_be_rendered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = folder(&[]);
        write(folder.path(), "watchdog.toml", &bytes);
        if let Err(faults) = load(Some(folder.path())) {
            prop_assert!(faults.count() > 0 && !faults.render(true).is_empty());
        }
    }

    #[test]
    fn any_mix_of_what_a_configuration_is_made_of_ends_so_too(words in proptest::collection::vec(0..WORDS.len(), 0..40)) {
        let text: String = words.into_iter().map(|word| WORDS[word]).collect();
        let folder = folder(&[("watchdog.toml", &text)]);
        if let Err(faults) = load(Some(folder.path())) {
            prop_assert!(faults.count() > 0 && !faults.render(true).is_empty());
        }
    }
}

const WORDS: [&str; 34] = [
    "[service.web]\n",
    "[service.php.heartbeat]\n",
    "[[service.web.heartbeat]]\n",
    "[watchdog]\n",
    "[watchdog.gates]\n",
    "[service.\"ä\\u0000\"]\n",
    "unit",
    "url",
    "timeout",
    "status",
    "depends_on",
    "events",
    "headers",
    "exec",
    "connect",
    " = ",
    "\n",
    "\"nginx.service\"",
    "\"http://a:b@c/\"",
    "\"3s\"",
    "-3",
    "0x",
    "inf",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"\"\"",
    "\r\n",
    "é",
    "\t",
    "1979-05-27",
    "\u{202e}\u{7f}",
];
