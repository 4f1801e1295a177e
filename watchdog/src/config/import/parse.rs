use super::{
    cursor::Cursor,
    lexer::Token,
    model::{Check, Kind, Method, Says},
    rule,
    statements::Statement,
};

/// What a statement says, and the words of it that nobody understood.
pub(super) fn parse(statement: &Statement) -> (Says, Vec<String>) {
    if statement.is_open() {
        return (Says::Unknown("a brace is opened and never closed"), Vec::new());
    }
    let tokens = statement.tokens.get(1..).unwrap_or_default();
    let mut cursor = Cursor::new(tokens);
    let says = match statement.head().as_str() {
        "check" => check(tokens, &mut cursor),
        "if" => {
            let rule = rule::parse(tokens);
            let rest = rule.rest.clone();
            return (Says::If(Box::new(rule)), rest);
        }
        "start" => method(&mut cursor, Says::Start),
        "stop" => method(&mut cursor, Says::Stop),
        "restart" => method(&mut cursor, Says::Restart),
        "group" => named(&mut cursor, Says::Group),
        "mode" => named(&mut cursor, |mode| Says::Mode(mode.to_ascii_lowercase())),
        "onreboot" => named(&mut cursor, |what| Says::OnReboot(what.to_ascii_lowercase())),
        "include" => named(&mut cursor, Says::Include),
        "depends" | "depend" => {
            let names: Vec<String> = cursor.rest().into_iter().filter(|name| name != ",").collect();
            if names.is_empty() { Says::Unknown(NAMELESS) } else { Says::Depends(names) }
        }
        "every" => match cursor.number() {
            Some(cycles) => {
                cursor.skip_all(&["cycle", "cycles"]);
                Says::Every(cycles)
            }
            None => all(&mut cursor, Says::Schedule),
        },
        "not" => all(&mut cursor, Says::Schedule),
        "alert" => all(&mut cursor, Says::Alert),
        "noalert" => all(&mut cursor, Says::NoAlert),
        "ignore" => all(&mut cursor, Says::Ignore),
        "set" => set(&mut cursor),
        _ => Says::Unknown("this is no statement of monit that the importer knows"),
    };
    let rest = if matches!(says, Says::Unknown(_)) { Vec::new() } else { cursor.rest() };
    (says, rest)
}

const NAMELESS: &str = "a name is missing";

/// A statement whose details do not matter here.
fn all(cursor: &mut Cursor<'_>, says: Says) -> Says {
    cursor.rest();
    says
}

fn named(cursor: &mut Cursor<'_>, says: impl FnOnce(String) -> Says) -> Says {
    cursor.text().map_or(Says::Unknown(NAMELESS), says)
}

fn set(cursor: &mut Cursor<'_>) -> Says {
    let Some(what) = cursor.take().map(Token::word) else { return Says::Unknown("nothing is set") };
    if what != "daemon" {
        cursor.rest();
        return Says::Set(what);
    }
    match cursor.time() {
        Some(ms) if ms >= 1_000 => Says::Daemon { seconds: ms / 1_000, delayed: !cursor.rest().is_empty() },
        Some(_) | None => Says::Unknown("the length of a cycle is missing"),
    }
}

fn method(cursor: &mut Cursor<'_>, says: impl FnOnce(Method) -> Says) -> Says {
    cursor.skip_all(&["program", "="]);
    let Some(command) = cursor.text() else { return Says::Unknown("the program is missing") };
    let mut method = Method { command, as_other: false, timeout: None };
    while let Some(token) = cursor.peek() {
        match token.word().as_str() {
            "as" => {
                cursor.take();
            }
            "uid" | "gid" => {
                method.as_other = true;
                cursor.take();
                cursor.take();
            }
            "timeout" => {
                cursor.take();
                method.timeout = cursor.time().map(|ms| ms / 1_000);
            }
            _ => break,
        }
    }
    says(method)
}

fn check<'a>(tokens: &'a [Token], cursor: &mut Cursor<'a>) -> Says {
    let kind = match tokens.first().map(Token::word).unwrap_or_default().as_str() {
        "process" => Kind::Process,
        "file" => Kind::File,
        "filesystem" | "device" => Kind::Filesystem,
        "directory" => Kind::Directory,
        "fifo" => Kind::Fifo,
        "host" => Kind::Host,
        "network" => Kind::Network,
        "program" => Kind::Program,
        "system" => Kind::System,
        _ => return Says::Unknown("monit has no such kind of check"),
    };
    // the name may be a word that is noise elsewhere
    let Some(name) = tokens.get(1).map(|token| token.text.clone()) else { return Says::Unknown(NAMELESS) };
    *cursor = Cursor::new(tokens.get(2..).unwrap_or_default());
    let mut check =
        Check { kind, name, path: None, matching: false, address: None, user: None, timeout: None };
    while let Some(token) = cursor.peek() {
        match token.word().as_str() {
            "pidfile" | "path" => {
                cursor.take();
                check.path = cursor.text();
            }
            "matching" | "match" => {
                cursor.take();
                cursor.take();
                check.matching = true;
            }
            "address" => {
                cursor.take();
                check.address = cursor.text();
            }
            "interface" | "gid" => {
                cursor.take();
                cursor.take();
            }
            "uid" => {
                cursor.take();
                check.user = cursor.text();
            }
            "timeout" => {
                cursor.take();
                check.timeout = cursor.time().map(|ms| ms / 1_000);
            }
            "as" | "=" => {
                cursor.take();
            }
            _ => break,
        }
    }
    Says::Check(check)
}
