//! Cuts a file's tokens into statements.
//!
//! monit's language has no end of a statement: each ends where a word begins the next. Such words are also actions, names and
//! events, so it depends on the statement under way which of them are free.
//!
//! Invariant: every token is in exactly one statement, in its order.

use super::{At, lexer::Token};

/// Words that begin a statement below a `check`.
const IN_A_CHECK: [&str; 16] = [
    "if", "start", "stop", "restart", "group", "depends", "depend", "every", "mode", "alert", "noalert",
    "onreboot", "ignore", "include", "check", "set",
];
/// Words that begin a statement wherever they stand.
const ANYWHERE: [&str; 3] = ["check", "set", "include"];

const SECRET_HEADERS: [&str; 2] = ["authorization:", "cookie:"];

/// The tokens of one statement; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) tokens: Vec<Token>,
}

impl Statement {
    pub(super) fn at(&self) -> At {
        self.tokens.first().map(|token| token.at).unwrap_or_default()
    }

    /// Its first word, in small letters.
    pub(super) fn head(&self) -> String {
        self.tokens.first().map(Token::word).unwrap_or_default()
    }

    /// It opens a brace and does not close it.
    pub(super) fn is_open(&self) -> bool {
        let count = |sign| self.tokens.iter().filter(|token| token.is(sign)).count();
        count("{") > count("}")
    }

    /// On one line, as it is told to people: whatever may be a password is left out.
    pub(super) fn text(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut secrets = 0_u8; // so many tokens more
        for (index, token) in self.tokens.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| self.tokens.get(index));
            let login = before.is_some_and(|before| before.is("allow")) && token.text.contains(':');
            let small = token.text.to_ascii_lowercase();
            let header = SECRET_HEADERS.iter().any(|name| small.contains(name));
            let hidden = secrets > 0 && !token.is("=") || login || token.quoted && header;
            secrets = match small.as_str() {
                "=" => secrets,
                "password" | "passwd" | "pass" | "send" if !token.quoted => 1,
                _ if header => 2, // `Authorization: Basic …`
                _ => secrets.saturating_sub(1),
            };
            let text = if hidden { "***".to_owned() } else { without_login(&token.text) };
            words.push(if token.quoted { format!("\"{text}\"") } else { text });
        }
        plain(&words.join(" "))
    }
}

/// `http://user:password@host/` without user and password.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// On one line, without what a terminal or TOML would take amiss.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How far a statement has come: which words are free to begin the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    /// So many tokens belong to it whatever they are; then any word below a `check` ends it.
    Takes(usize),
    /// A test, up to its `then`.
    Test,
    /// `depends`, up to the last comma.
    Names,
    /// `set`.
    Setting,
}

/// Cuts tokens into statements.
pub(super) fn split(tokens: Vec<Token>) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let (mut course, mut depth) = (Course::Takes(0), 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let begins =
            statements.is_empty() || depth == 0 && begins(course, token, before, tokens.get(index + 1));
        if begins {
            course = course_of(token);
            statements.push(Statement { tokens: Vec::new() });
        } else {
            course = step(course, token, before);
        }
        match token.word().as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(statement) = statements.last_mut() {
            statement.tokens.push(token.clone());
        }
    }
    statements
}

fn begins(course: Course, token: &Token, before: Option<&Token>, after: Option<&Token>) -> bool {
    let word = token.word();
    let any = |words: &[&str]| words.contains(&word.as_str());
    let not_every = word == "not" && after.is_some_and(|after| after.is("every"));
    match course {
        Course::Takes(0) => {
            let repeated = word == "every" && before.is_some_and(|before| before.is("repeat"));
            (any(&IN_A_CHECK) || not_every)
                && !repeated
                && !before.is_some_and(|before| before.is("else") || before.is("not") && word == "every")
        }
        Course::Takes(_) => false,
        // a test without its `then`: the next line begins anew
        Course::Test => {
            let free = any(&ANYWHERE) || any(&["if"]) || token.first && any(&IN_A_CHECK);
            free && !before.is_some_and(|before| before.is("else"))
        }
        Course::Names => {
            any(&IN_A_CHECK) && !before.is_some_and(|before| before.is(",") || before.is("on")) || not_every
        }
        Course::Setting => any(&ANYWHERE),
    }
}

fn course_of(token: &Token) -> Course {
    match token.word().as_str() {
        "check" => Course::Takes(2),
        "if" => Course::Test,
        "group" | "mode" | "onreboot" | "include" | "alert" | "noalert" => Course::Takes(1),
        "depends" | "depend" => Course::Names,
        "set" => Course::Setting,
        _ => Course::Takes(0),
    }
}

fn step(course: Course, token: &Token, before: Option<&Token>) -> Course {
    match course {
        // the action, whatever it is called; and that of `else`
        Course::Test if token.is("then") => Course::Takes(1),
        Course::Takes(_) if token.is("else") => Course::Takes(1),
        Course::Takes(1) if token.is("if") && before.is_some_and(|before| before.is("else")) => Course::Test,
        Course::Takes(n) => Course::Takes(n.saturating_sub(1)),
        Course::Test | Course::Names | Course::Setting => course,
    }
}
