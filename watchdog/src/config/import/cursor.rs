use super::{lexer::Token, model::Sign};

/// Words that monit allows for the sake of English.
const NOISE: [&str; 19] = [
    "is", "are", "on", "only", "with", "and", "has", "have", "use", "uses", "using", "the", "sum", "than",
    "usage", "was", "but", "of", "to",
];

/// Goes over the tokens of a statement, without the noise.
pub(super) struct Cursor<'a> {
    tokens: Vec<&'a Token>,
    next: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Cursor<'a> {
        let noise = |token: &&Token| !NOISE.contains(&token.word().as_str());
        Cursor { tokens: tokens.iter().filter(noise).collect(), next: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next).copied()
    }

    pub(super) fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    /// Takes the next where it is this word.
    pub(super) fn skip(&mut self, word: &str) -> bool {
        let is = self.peek().is_some_and(|token| token.is(word));
        self.next += usize::from(is);
        is
    }

    /// Takes the next of these words, all of them.
    pub(super) fn skip_all(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.skip(word)) {}
    }

    /// The text of the next, whether in quotes or not.
    pub(super) fn text(&mut self) -> Option<String> {
        self.take().map(|token| token.text.clone())
    }

    /// The next where it is a number; it may bear a unit, such as `80%`.
    pub(super) fn number(&mut self) -> Option<u64> {
        let number = self.peek().and_then(number)?;
        self.next += 1;
        Some(number)
    }

    /// The next where it is a comparison.
    pub(super) fn sign(&mut self) -> Option<Sign> {
        let sign = match self.peek()?.word().as_str() {
            "=" | "==" | "eq" | "equal" => Sign::Equal,
            "!" | "!=" | "ne" | "notequal" => Sign::NotEqual,
            "<" | "lt" | "less" => Sign::Less,
            "<=" | "le" | "lessorequal" => Sign::LessOrEqual,
            ">" | "gt" | "greater" | "more" => Sign::More,
            ">=" | "ge" | "greaterorequal" => Sign::MoreOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(sign)
    }

    /// A time in milliseconds: a number and a unit; seconds without one.
    pub(super) fn time(&mut self) -> Option<u64> {
        let glued: String = self.peek()?.word().chars().skip_while(|c| c.is_ascii_digit()).collect();
        let number = self.number()?;
        let factor = |unit: &str| match unit {
            "ms" | "millisecond" | "milliseconds" => Some(1),
            "s" | "sec" | "second" | "seconds" => Some(1_000),
            "m" | "min" | "minute" | "minutes" => Some(60_000),
            "h" | "hour" | "hours" => Some(3_600_000),
            "d" | "day" | "days" => Some(86_400_000),
            _ => None,
        };
        let by = factor(&glued).or_else(|| {
            let by = self.tokens.get(self.next).and_then(|token| factor(&token.word()));
            self.next += usize::from(by.is_some());
            by
        });
        Some(number.saturating_mul(by.unwrap_or(1_000)))
    }

    /// What is in braces, where a brace comes next.
    pub(super) fn braces(&mut self) -> Vec<&'a Token> {
        let mut inside = Vec::new();
        if !self.skip("{") {
            return inside;
        }
        let mut depth = 1_usize;
        while let Some(token) = self.take() {
            depth = depth + usize::from(token.is("{")) - usize::from(token.is("}"));
            if depth == 0 {
                break;
            }
            inside.push(token);
        }
        inside
    }

    /// Every word that is left.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let rest = self.tokens.iter().skip(self.next).map(|token| token.text.clone()).collect();
        self.next = self.tokens.len();
        rest
    }
}

/// The number at the beginning of a word; `None` where there is none.
pub(super) fn number(token: &Token) -> Option<u64> {
    let digits: String = token.text.chars().take_while(char::is_ascii_digit).collect();
    let unit = token.text.get(digits.len()..).unwrap_or_default();
    let fits = !digits.is_empty() && unit.chars().all(|c| c.is_ascii_alphabetic() || c == '%');
    fits.then(|| digits.parse().unwrap_or(u64::MAX))
}
