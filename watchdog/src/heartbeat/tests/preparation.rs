use super::*;

#[test]
fn what_no_ask_could_cure_is_refused_beforehand() {
    let refused = |change: &dyn Fn(&mut Settings)| {
        let settings = http("", Server::Nobody).with(change).settings;
        match Heart::new(&settings, &mut Profiles::default()) {
            Ok(_) => "accepted\n".to_owned(),
            Err(fault) => format!("{fault}\n"),
        }
    };
    let url = |secure, host: &str, path: &str| Target::Http {
        secure,
        host: host.into(),
        port: 80,
        path: path.into(),
    };
    let lines = [
        refused(&|_| {}),
        refused(&|s| s.target = url(true, "a b", "/")),
        refused(&|s| s.target = url(false, "a", "/two words")),
        refused(&|s| s.target = url(false, "a", "//host/path")),
        refused(&|s| s.method = "GE T".into()),
        refused(&|s| s.method = "CONNECT".into()),
        refused(&|s| {
            s.method = "HEAD".into();
            s.body = Some(Body::Literal("x".into()));
        }),
        refused(&|s| s.headers = vec![("a b".into(), "c".into())]),
        refused(&|s| s.headers = vec![("Content-Length".into(), "5".into())]),
        refused(&|s| s.basic_auth = Some(BasicAuth("no colon".into()))),
        refused(&|s| s.connect = Connect::Unix("x".repeat(200).into())),
        refused(&|s| {
            s.target = url(true, "a", "/");
            s.tls.ca = Some("/nonexistent/ca.pem".into());
        }),
        refused(&|s| {
            s.target = url(true, "a", "/");
            s.tls.ca = Some("/dev/null".into());
        }),
        refused(&|s| s.target = Target::Exec { argv: Vec::new(), user: None }),
    ];
    expect![[r#"
        accepted
        cannot ask "a b" over https: give a host name or an IP address in `url`
        cannot ask for the path "/two words": percent-encode it in `url`
        accepted
        cannot use the method "GE T": use GET, HEAD, OPTIONS or POST
        cannot use the method "CONNECT": use GET, HEAD, OPTIONS or POST
        cannot look for a `body` in the answer to HEAD: use GET, or drop `body`
        cannot send the header "a b": check its name and value, and leave out what describes a request body
        cannot send the header "Content-Length": check its name and value, and leave out what describes a request body
        cannot use `basic_auth_file`: write one line, user:password
        cannot connect to unix:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: path must be shorter than SUN_LEN
        cannot read the issuers to trust from /nonexistent/ca.pem: I/O error: No such file or directory (os error 2); check `tls.ca`
        cannot find a certificate in /dev/null: `tls.ca` is a PEM file
        cannot run an empty `exec`: name a program
    "#]].assert_eq(&lines.concat());
}

#[test]
fn a_heartbeat_goes_to_the_units_own_listener_else_to_loopback() {
    let spot = |connect: Connect, own: Option<Place>| {
        let settings = http("", Server::Nobody).with(|settings| settings.connect = connect).settings;
        let heart = Heart::new(&settings, &mut Profiles::default()).unwrap();
        format!("{}\n", heart.spot(|_| own))
    };
    let lines = [
        spot(Connect::Own, None),
        spot(Connect::Own, Some(Place::Tcp(([192, 0, 2, 1], 80).into()))),
        spot(Connect::Own, Some(Place::Unix("/run/app.sock".into()))),
        spot(Connect::Address(([127, 0, 0, 2], 81).into()), None),
        spot(Connect::Unix("\0app".into()), None),
        spot(Connect::Dns, None),
    ];
    expect![[r#"
        127.0.0.1:80
        192.0.2.1:80
        unix:/run/app.sock
        127.0.0.2:81
        unix:@app
        dns
    "#]]
    .assert_eq(&lines.concat());
}
