use super::At;

/// One word, text or sign of monit's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Without its quotes.
    pub(super) text: String,
    /// It stood in quotes, and is no word of the language.
    pub(super) quoted: bool,
    /// It is the first of its line.
    pub(super) first: bool,
    pub(super) at: At,
}

impl Token {
    /// The word that it may be, in small letters; monit does not tell them apart. Empty for a text in quotes.
    pub(super) fn word(&self) -> String {
        if self.quoted { String::new() } else { self.text.to_ascii_lowercase() }
    }

    pub(super) fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word)
    }
}

/// Every token of one file. Comments are left out; whatever bytes there are, this ends in tokens.
pub(super) fn tokens(file: usize, text: &str) -> Vec<Token> {
    let mut lexer = Lexer { file, rest: text, line: 1, first: true, letter: false, tokens: Vec::new() };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    file: usize,
    rest: &'a str,
    line: usize,
    first: bool,
    /// In the braces of a mail's form: quotes and signs are plain text there.
    letter: bool,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(next) = self.rest.chars().next() {
            match next {
                '\n' => {
                    self.line += 1;
                    self.first = true;
                    self.rest = &self.rest[1..];
                }
                c if c.is_whitespace() || c == ';' || c == '\0' || c == '\u{feff}' => {
                    self.rest = &self.rest[c.len_utf8()..];
                }
                c if self.letter && c != '}' => {
                    let end = self.rest.find(|c: char| c.is_whitespace() || "};\0".contains(c));
                    self.take(end.unwrap_or(self.rest.len()), false);
                }
                '#' => self.rest = &self.rest[self.end_of_line()..],
                '"' | '\'' => self.quoted(next),
                '{' | '}' | '(' | ')' | ',' => {
                    let form = |token: &Token| token.is("mail-format") || token.is("mailformat");
                    self.letter = next == '{' && self.tokens.last().is_some_and(form);
                    self.take(1, false);
                }
                '=' | '<' | '>' | '!' => self.sign(),
                _ => self.take(length_of_word(self.rest), false),
            }
        }
    }

    fn end_of_line(&self) -> usize {
        self.rest.find('\n').unwrap_or(self.rest.len())
    }

    /// A text in quotes, over several lines if need be. One that is never closed ends with its line.
    fn quoted(&mut self, quote: char) {
        let inside = &self.rest[1..];
        let close = inside.find(quote); // there is no escape
        let (length, after) = match close {
            Some(at) => (at, at + 2),
            None => (self.end_of_line() - 1, self.end_of_line()),
        };
        let text = inside[..length].to_owned();
        self.push(text, true);
        self.line += self.rest[..after].matches('\n').count();
        self.rest = &self.rest[after..];
    }

    /// `=`, `==`, `!=`, `<`, `<=`, `>`, `>=`; a lone `!` is one, too.
    fn sign(&mut self) {
        let length = if self.rest[1..].starts_with('=') { 2 } else { 1 };
        self.take(length, false);
    }

    fn take(&mut self, length: usize, quoted: bool) {
        let (text, rest) = self.rest.split_at(length);
        self.push(text.to_owned(), quoted);
        self.rest = rest;
    }

    fn push(&mut self, text: String, quoted: bool) {
        let at = At { file: self.file, line: self.line };
        self.tokens.push(Token { text, quoted, first: self.first, at });
        self.first = false;
    }
}

/// Paths and URLs may hold what is a sign elsewhere.
fn length_of_word(text: &str) -> usize {
    let end = |stops: &str| {
        text.find(|c: char| c.is_whitespace() || c == '\0' || stops.contains(c)).unwrap_or(text.len())
    };
    let whole = end(";");
    let plain = text.starts_with('/') || text[..whole].contains("://");
    let length = if plain { whole } else { end(";{}(),=<>!") };
    length.max(text.chars().next().map_or(0, char::len_utf8))
}
