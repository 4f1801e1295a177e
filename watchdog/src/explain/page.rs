use std::fmt::Write as _;

use textwrap::{Options, WordSeparator, WordSplitter};

/// Narrower than this nobody can read it: it is left to the terminal.
const NARROW: usize = 50;

/// The lines of [`Check`](super::Check) as a terminal of so many columns shows them: wrapped below their own beginning, and with
/// colours where they are wanted. Faults and warnings stand last there: that is what is left to see. Without columns everything
/// stays as it is, for programs.
pub fn page(text: &str, columns: Option<usize>, coloured: bool) -> String {
    let mut page = String::with_capacity(text.len() * 2);
    for line in ordered(text, columns.is_some()) {
        let wrapped = folded(line, columns, hang(line));
        match colour(line).filter(|_| coloured) {
            Some((colour, label)) => {
                let (label, rest) = wrapped.split_at(label.min(wrapped.len()));
                _ = writeln!(page, "{colour}{label}\x1b[0m{rest}");
            }
            None => _ = writeln!(page, "{wrapped}"),
        }
    }
    page
}

/// A line as a terminal of so many columns shows it: what does not fit goes on below, behind so many spaces.
pub(super) fn folded(line: &str, columns: Option<usize>, hang: usize) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= NARROW && line.chars().count() > *columns)
    else {
        return line.to_owned();
    };
    let hang = " ".repeat(hang);
    let options = Options::new(columns)
        .subsequent_indent(&hang)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(line, options)
}

/// The lines; where a person reads them, what matters stands before the last one, which is the sum.
fn ordered(text: &str, for_people: bool) -> Vec<&str> {
    let matters =
        |line: &&str| ["error ", "warning ", "not yet "].iter().any(|label| line.starts_with(label));
    let all = text.lines();
    if !for_people {
        return all.collect();
    }
    let (mut last, mut lines): (Vec<&str>, Vec<&str>) = all.partition(matters);
    last.reverse(); // errors are told first: here they stand nearest to the sum
    let sum = lines.pop();
    lines.extend(last);
    lines.extend(sum);
    lines
}

/// The column at which the text of a line begins, behind its label.
fn hang(line: &str) -> usize {
    match line.bytes().take_while(|byte| *byte == b' ').count() {
        0 => 9,
        2 => 15,
        _ => 25,
    }
}

/// How the beginning of a line stands out, and how long that is.
fn colour(line: &str) -> Option<(&'static str, usize)> {
    const RED: &str = "\x1b[1;31m";
    const YELLOW: &str = "\x1b[33m";
    const BOLD: &str = "\x1b[1m";
    if line.starts_with("error ") {
        return Some((RED, 5));
    }
    if line.starts_with("warning ") {
        return Some((YELLOW, 7));
    }
    let name = line.strip_suffix(')').and_then(|line| line.rsplit_once(" ("));
    let is_service = |(name, unit): &(&str, &str)| !name.contains(' ') && unit.contains('.');
    name.filter(is_service).map(|(name, _)| (BOLD, name.len()))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const TEXT: &str = "read     /etc/watchdog/watchdog.toml\n\nweb (nginx.service)\n  heartbeat    GET http://www.example.com/\n               good      status 200-499, complete within 3s, and much more that is said of it\n  crash        started again at once after a fatal signal or an exit code that is not clean\nwarning  web: nginx.service is disabled: it is left alone until `systemctl enable`\n1 service, no error, 1 warning\n";

    #[test]
    fn a_line_that_is_longer_than_the_terminal_goes_on_below_its_own_beginning() {
        expect![[r#"
            read     /etc/watchdog/watchdog.toml

            web (nginx.service)
              heartbeat    GET http://www.example.com/
                           good      status 200-499, complete within
                                     3s, and much more that is said
                                     of it
              crash        started again at once after a fatal
                           signal or an exit code that is not clean
            warning  web: nginx.service is disabled: it is left
                     alone until `systemctl enable`
            1 service, no error, 1 warning
        "#]]
        .assert_eq(&page(TEXT, Some(56), false));
    }

    #[test]
    fn without_a_terminal_or_with_a_tiny_one_lines_stay_whole() {
        assert_eq!(page(TEXT, None, false), TEXT);
        assert_eq!(page(TEXT, Some(20), false), TEXT);
    }

    #[test]
    fn what_matters_stands_out() {
        let page = page(TEXT, None, true);
        assert!(page.contains("\x1b[1mweb\x1b[0m (nginx.service)\n"), "{page:?}");
        assert!(page.contains("\x1b[33mwarning\x1b[0m  web:"), "{page:?}");
        assert_eq!(page.matches("\x1b[0m").count(), 2);
    }
}
