//! Lines of the common and combined formats, as nginx and Apache write them. Pure.
//!
//! Both write texts of clients in quotes and escape quotes within them (`\"`, `\x22`), so that no client can make a line say what
//! is not so. What stands before the time may be anything without quotes: a virtual host and its port, IPv6, a user with spaces.

/// What a line says of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The status; nginx writes 0 where there was none.
    pub(super) status: u16,
    /// The client's User-Agent as it stands there; `None` in the common format.
    pub(super) agent: Option<&'a [u8]>,
}

/// The line's parts; `None` where it is in neither format.
pub(super) fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let mut rest = line;
    loop {
        let (before, _, after) = next_quoted(rest)?;
        // the request is what stands between the time and the status; Apache's empty user is two quotes
        if before.ends_with(b"] ")
            && let Some((status, after)) = status(after)
        {
            return Some(Entry { status, agent: agent(after) });
        }
        rest = after;
    }
}

fn status(text: &[u8]) -> Option<(u16, &[u8])> {
    let [b' ', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text else { return None };
    let status = [a, b, c].into_iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    matches!(rest, [] | [b' ', ..]).then_some((status, rest))
}

/// The second text in quotes after the status; the first is the referer.
fn agent(text: &[u8]) -> Option<&[u8]> {
    let (_, _, after) = next_quoted(text)?;
    next_quoted(after).map(|(_, agent, _)| agent)
}

/// What stands before the next text in quotes, the text, and what follows it.
fn next_quoted(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let open = text.iter().position(|byte| *byte == b'"')?;
    let (before, text) = (&text[..open], &text[open + 1..]);
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((before, &text[..at], &text[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
