//! What makes two states of the small world one: their text, with every moment told from now, and every number by its rank.
//!
//! Invariant: states of one key go on alike. Left out is what decides nothing: stories, the settings, the backstop that never
//! comes due, and numbers that only count. What lies further back than every window of the settings is "long ago".

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use watchdog::model::Mono;

/// Whatever decides by a moment looks back less far.
pub(super) const LONG_AGO: u64 = 7_200 * 1_000_000_000;

/// What a word in the text stands for.
#[derive(Clone, Copy)]
enum Word {
    Moment,
    Order,
    Incident,
    Run,
    /// Left out with what it opens.
    Skipped,
    /// A number that is left out.
    Counter,
}

const WORDS: [(&[u8], Word); 18] = [
    (b"Mono(", Word::Moment),
    (b"OrderId(", Word::Order),
    (b"IncidentId { run: ", Word::Incident),
    (b"CgroupId(", Word::Run),
    (b"run: ", Word::Run),
    (b"pid: ", Word::Counter),
    (b"main_pid: Some(", Word::Counter),
    (b"token: ", Word::Counter),
    (b"left_out: ", Word::Counter),
    (b"steps: [", Word::Skipped),
    (b"due: Mono(", Word::Skipped),
    (b"last: Mono(", Word::Skipped),
    (b"ids: Ids {", Word::Skipped),
    (b"guard: Guard {", Word::Skipped),
    (b"settings: Settings {", Word::Skipped),
    (b"closed: {", Word::Skipped),
    (b"began: [", Word::Skipped),
    (b"woken: (", Word::Skipped),
];
/// Numbers of jobs that are over: nothing speaks of them any more once nothing is on its way.
const JOBS: [&[u8]; 5] =
    [b"own_jobs: [", b"own: [", b"over: [", b"last_stop: Some(", b"started_after: Some("];

/// Hashes the text of a state.
pub(super) fn key(text: &str, now: Mono, rests: bool) -> u64 {
    let bytes = text.as_bytes();
    let orders = ranks(bytes);
    let (mut runs, mut incidents) = (BTreeMap::new(), BTreeMap::new());
    let mut hasher = DefaultHasher::new();
    let mut at = 0;
    while at < bytes.len() {
        let word = if begins(bytes, at) { word(bytes, at, rests) } else { None };
        let Some((length, word)) = word else {
            if bytes[at] == b'"' {
                let end = quoted(bytes, at);
                hasher.write(&bytes[at..end]);
                at = end;
            } else if let Some(run) = incarnation(bytes, at) {
                rank(&mut runs, run).hash(&mut hasher);
                at += 32;
            } else {
                hasher.write_u8(bytes[at]);
                at += 1;
            }
            continue;
        };
        let from = at + length;
        let (number, end) = digits(bytes, from);
        at = match word {
            Word::Moment => {
                let ago = i128::from(now.0) - i128::from(number);
                ago.min(i128::from(LONG_AGO)).hash(&mut hasher);
                end
            }
            Word::Order => {
                orders.get(&number).hash(&mut hasher);
                end
            }
            Word::Incident => {
                let end = from + bytes[from..].iter().position(|byte| *byte == b'}').unwrap_or(0);
                let fresh = incidents.len();
                incidents.entry(&bytes[from..end]).or_insert(fresh).hash(&mut hasher);
                end
            }
            Word::Run => {
                rank(&mut runs, u128::from(number)).hash(&mut hasher);
                end
            }
            Word::Skipped => balanced(bytes, from),
            Word::Counter => end,
        };
    }
    hasher.finish()
}

fn word(bytes: &[u8], at: usize, rests: bool) -> Option<(usize, Word)> {
    let here = &bytes[at..];
    let known = WORDS.iter().find(|(word, _)| here.starts_with(word)).map(|(word, kind)| (word.len(), *kind));
    let over =
        || JOBS.iter().find(|word| rests && here.starts_with(word)).map(|word| (word.len(), Word::Skipped));
    known.or_else(over)
}

/// A word begins here: what goes before is no part of it.
fn begins(bytes: &[u8], at: usize) -> bool {
    let within = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    bytes[at].is_ascii_alphabetic() && (at == 0 || !within(bytes[at - 1]))
}

/// Orders by their age, for that is what the policy compares.
fn ranks(bytes: &[u8]) -> BTreeMap<u64, usize> {
    let word = b"OrderId(";
    let places = (0..bytes.len().saturating_sub(word.len())).filter(|at| bytes[*at..].starts_with(word));
    let numbers: std::collections::BTreeSet<u64> =
        places.map(|at| digits(bytes, at + word.len()).0).collect();
    numbers.into_iter().enumerate().map(|(rank, number)| (number, rank)).collect()
}

fn rank(seen: &mut BTreeMap<u128, usize>, number: u128) -> usize {
    let fresh = seen.len();
    *seen.entry(number).or_insert(fresh)
}

fn digits(bytes: &[u8], from: usize) -> (u64, usize) {
    let mut at = from;
    let mut number = 0_u64;
    while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (number, at)
}

/// A run's name: 32 hexadecimal digits, which nothing else has.
fn incarnation(bytes: &[u8], at: usize) -> Option<u128> {
    let digits = bytes.get(at..at + 32)?;
    if digits[0] != b'0' || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Behind the closing quote.
fn quoted(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the bracket that closes what is open here.
fn balanced(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut open) = (from, 1);
    while at < bytes.len() && open > 0 {
        match bytes[at] {
            b'"' => {
                at = quoted(bytes, at);
                continue;
            }
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}
