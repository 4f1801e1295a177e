use expect_test::{Expect, expect};

use super::{in_short, load_all};

const SERVICE: &str = "[service.web]\nunit = \"nginx.service\"\n";

/// What is said of these values of one key, in short: each with its label and its help.
fn check_values(table: &str, key: &str, values: &[&str], expect: Expect) {
    let mut text = String::new();
    for value in values {
        let url = match (table, key) {
            ("heartbeat", "url") => "",
            ("heartbeat", key) if key.starts_with("tls") => "url = \"https://a/\"\n",
            ("heartbeat", _) => "url = \"http://a/\"\n",
            _ => "",
        };
        let heading = if table.is_empty() { String::new() } else { format!("[service.web.{table}]\n{url}") };
        let (_folder, loaded) =
            load_all(&[("watchdog.toml", &format!("{SERVICE}{heading}{key} = {value}\n"))]);
        let said: Vec<_> = match loaded {
            Ok(_) => vec!["fine".into()],
            Err(faults) => faults.iter().map(in_short).collect(),
        };
        text += &format!("{value}: {}\n", said.join(" / "));
    }
    expect.assert_eq(&text);
}

#[test]
fn durations_have_a_unit_and_limits() {
    let values = [
        "3",
        "3.5",
        "true",
        "\"3\"",
        "\"\"",
        "\"3 bananas\"",
        "\"-3s\"",
        "\"3s ago\"",
        "\"0s\"",
        "\"5ms\"",
        "\"2h\"",
        "\"1month\"",
        "\"99999999999999999999s\"",
        "\"250ms\"",
        "\"1m30s\"",
        "\"90s\"",
        "\"2.5s\"",
    ];
    check_values(
        "heartbeat",
        "timeout",
        &values,
        expect![[r#"
        3: expected a duration in quotes, found a number; a number needs a unit: "3s" for seconds, "3ms" for milliseconds
        3.5: expected a duration such as "250ms", "3s", "10m" or "1h30m", found a decimal number
        true: expected a duration such as "250ms", "3s", "10m" or "1h30m", found true or false
        "3": expected a duration such as "250ms", "3s", "10m" or "1h30m"; a number needs a unit: "3s" for seconds
        "": expected a duration such as "250ms", "3s", "10m" or "1h30m"
        "3 bananas": expected a duration such as "250ms", "3s", "10m" or "1h30m"
        "-3s": expected a duration such as "250ms", "3s", "10m" or "1h30m"; not before now, and not by months or years
        "3s ago": expected a duration such as "250ms", "3s", "10m" or "1h30m"; not before now, and not by months or years
        "0s": expected a duration from 10ms to 1h
        "5ms": expected a duration from 10ms to 1h
        "2h": expected a duration from 10ms to 1h
        "1month": expected a duration such as "250ms", "3s", "10m" or "1h30m"; not before now, and not by months or years
        "99999999999999999999s": expected a duration such as "250ms", "3s", "10m" or "1h30m"
        "250ms": fine
        "1m30s": fine
        "90s": fine
        "2.5s": fine
    "#]],
    );
}

#[test]
fn numbers_have_limits() {
    check_values(
        "heartbeat",
        "failures",
        &["0", "-1", "1.0", "\"2\"", "101", "99999999999999999999999999", "1"],
        expect![[r#"
            0: expected a whole number from 1 to 100
            -1: expected a whole number from 1 to 100
            1.0: expected a whole number from 1 to 100, found a decimal number
            "2": expected a whole number from 1 to 100, found a text
            101: expected a whole number from 1 to 100
            99999999999999999999999999: expected a whole number from 1 to 100
            1: fine
        "#]],
    );
    check_values(
        "restart",
        "burst",
        &["0", "3"],
        expect![[r#"
        0: expected a whole number from 1 to 1000
        3: fine
    "#]],
    );
    check_values(
        "",
        "only_if_enabled",
        &["\"yes\"", "1", "false"],
        expect![[r#"
        "yes": expected true or false, found a text; without quotes
        1: expected true or false, found a number; without quotes
        false: fine
    "#]],
    );
}

#[test]
fn urls_name_a_scheme_a_host_and_a_port() {
    let values = [
        "\"www.example.com\"",
        "\"ftp://a/\"",
        "\"http://\"",
        "\"http:///x\"",
        "\"http://a:0/\"",
        "\"http://a:99999/\"",
        "\"http://a:x/\"",
        "\"http://a b/\"",
        "\"http://ä/\"",
        "\"http://a/#x\"",
        "\"http://a..b/\"",
        "\"http://[::1/\"",
        "\"http://[::g]/\"",
        "\"http://::1/\"",
        "\"tcp://a\"",
        "\"tcp://a:5/x\"",
        "\"\"",
        "1",
        "\"http://a:/\"",
        "\"https://[::1]:8443/x?y=z\"",
        "\"tcp://a:5\"",
        "\"tcp://[::1]:5/\"",
        "\"http://a?x\"",
        "\"HTTP://A/\"",
    ];
    check_values(
        "heartbeat",
        "url",
        &values,
        expect![[r#"
        "www.example.com": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; begin with http://, https:// or tcp://
        "ftp://a/": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; only http, https and tcp are spoken; anything else is an `exec`
        "http://": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; empty string; spaces and letters outside ASCII are written %20, xn--…
        "http:///x": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; invalid format; spaces and letters outside ASCII are written %20, xn--…
        "http://a:0/": expected a port from 1 to 65535
        "http://a:99999/": expected a port from 1 to 65535
        "http://a:x/": expected a port from 1 to 65535
        "http://a b/": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; invalid uri character; spaces and letters outside ASCII are written %20, xn--…
        "http://ä/": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; invalid uri character; spaces and letters outside ASCII are written %20, xn--…
        "http://a/#x": expected a URL without `#`; what follows `#` is never sent to a server: take it away
        "http://a..b/": expected a host name or an address in this URL
        "http://[::1/": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; invalid authority; spaces and letters outside ASCII are written %20, xn--…
        "http://[::g]/": expected an IPv6 address in brackets, such as "http://[::1]/"
        "http://::1/": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; invalid authority; spaces and letters outside ASCII are written %20, xn--…
        "tcp://a": expected "tcp://host:port"; name the port
        "tcp://a:5/x": expected "tcp://host:port"; to connect is all it does: no path
        "": expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port"; begin with http://, https:// or tcp://
        1: expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port", found a number; begin with http://, https:// or tcp://
        "http://a:/": fine
        "https://[::1]:8443/x?y=z": fine
        "tcp://a:5": fine
        "tcp://[::1]:5/": fine
        "http://a?x": fine
        "HTTP://A/": fine
    "#]],
    );
}

#[test]
fn connect_takes_addresses_and_no_names() {
    let values = [
        "\"localhost:80\"",
        "\"127.0.0.1\"",
        "\"::1\"",
        "\"::1:80\"",
        "\"127.0.0.1:0\"",
        "\"unix:run/a\"",
        "\"/run/a\"",
        "80",
        "\"[::1]:80\"",
        "\"unix:/run/a\"",
        "\"dns\"",
    ];
    check_values(
        "heartbeat",
        "connect",
        &values,
        expect![[r#"
            "localhost:80": expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns"; write the address of localhost, such as "127.0.0.1:80": a heartbeat asks no name server, so that a slow one is never taken for a dead service ("dns" asks for the name of the URL all the same)
            "127.0.0.1": expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns"; name the port: "127.0.0.1:80"
            "::1": expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns"; an IPv6 address stands in brackets, then the port: "[::1]:80"
            "::1:80": expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns"; an IPv6 address stands in brackets, then the port: "[::1:80]:80"
            "127.0.0.1:0": expected a port from 1 to 65535
            "unix:run/a": expected a full path, from the first slash
            "/run/a": expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns"; "unix:/run/a" is a Unix socket
            80: expected "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path" or "dns", found a number
            "[::1]:80": fine
            "unix:/run/a": fine
            "dns": fine
        "#]],
    );
}

#[test]
fn statuses_are_ranges_of_three_digits() {
    let values = [
        "[]",
        "\"200\"",
        "[\"200-\"]",
        "[\"499-200\"]",
        "[\"99\"]",
        "[600]",
        "[\"6xx\"]",
        "[true]",
        "[\"+20\"]",
        "[\"200-499\"]",
        "[404, \"2xx\"]",
    ];
    check_values(
        "heartbeat",
        "status",
        &values,
        expect![[r#"
        []: expected one status at least; the default is ["200-499"]
        "200": expected a list of statuses, found a text; put it in brackets: ["…"]
        ["200-"]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        ["499-200"]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        ["99"]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        [600]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        ["6xx"]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        [true]: expected a text, found true or false; this is a list of statuses
        ["+20"]: expected statuses such as "200-499", "404" or "5xx", from 100 to 599
        ["200-499"]: fine
        [404, "2xx"]: fine
    "#]],
    );
}

#[test]
fn programs_and_paths_are_whole() {
    check_values(
        "",
        "preflight",
        &["[]", "[\"nginx\"]", "\"/bin/true\"", "[\"/bin/true\", 1]"],
        expect![[r#"
        []: expected the full path of a program, then its arguments; such as ["/usr/sbin/nginx", "-t"]; there is no shell and no PATH here
        ["nginx"]: expected the full path of a program, then its arguments; such as ["/usr/sbin/nginx", "-t"]; there is no shell and no PATH here
        "/bin/true": expected a list of a program and its arguments, found a text; put it in brackets: ["…"]
        ["/bin/true", 1]: fine
    "#]],
    );
    check_values(
        "heartbeat",
        "tls.ca",
        &["\"ca.pem\"", "\"/nowhere/ca.pem\""],
        expect![[r#"
            "ca.pem": expected a full path, from the first slash
            "/nowhere/ca.pem": expected a PEM file with certificates; I/O error: No such file or directory (os error 2)
        "#]],
    );
    check_values(
        "heartbeat",
        "method",
        &["\"get\"", "\"CONNECT\"", "\"G T\""],
        expect![[r#"
        "get": expected a method such as "GET" or "HEAD"; methods are written in capitals
        "CONNECT": expected a method such as "GET" or "HEAD"; methods are written in capitals
        "G T": expected a method such as "GET" or "HEAD"; methods are written in capitals
    "#]],
    );
    check_values(
        "heartbeat",
        "headers",
        &["{ \"a b\" = \"x\" }", "{ a = \"x\\ny\" }", "{ Content-Length = \"1\" }", "{ A = \"ok\" }"],
        expect![[r#"
            { "a b" = "x" }: no header can have this name
            { a = "x\ny" }: expected a text of visible ASCII characters on one line
            { Content-Length = "1" }: a heartbeat sends no body; take it out
            { A = "ok" }: fine
        "#]],
    );
    check_values(
        "heartbeat",
        "on_failure",
        &["\"reboot\"", "\"alert\""],
        expect![[r#"
        "reboot": expected "restart" or "alert" or "off"
        "alert": fine
    "#]],
    );
}

#[test]
fn a_unit_is_a_service_by_its_whole_name() {
    let mut text = String::new();
    for unit in ["", "nginx", "nginx.socket", "a@.service", "a b.service", "watchdog.service", "a@b.service"]
    {
        let (_folder, loaded) = load_all(&[("watchdog.toml", &format!("[service.a]\nunit = {unit:?}\n"))]);
        let said =
            loaded.map_or_else(|faults| faults.iter().map(in_short).collect(), |_| String::from("fine"));
        text += &format!("{unit:?}: {said}\n");
    }
    expect![[r#"
        "": expected the name of a service unit, such as "nginx.service"; a unit name has 1 to 255 bytes
        "nginx": expected the name of a service unit, such as "nginx.service"; write "nginx.service"
        "nginx.socket": expected the name of a service unit, such as "nginx.service"; only services run processes that can be kept answering
        "a@.service": expected the name of a service unit, such as "nginx.service"; this is a template; name an instance of it, such as foo@bar.service
        "a b.service": expected the name of a service unit, such as "nginx.service"; a unit name holds only letters, digits and :-_.\@
        "watchdog.service": expected another unit than watchdog's own; systemd looks after watchdog: Restart=always
        "a@b.service": fine
    "#]].assert_eq(&text);
}
