//! Lines that are read back.

use expect_test::expect;

use super::samples::sign;
use crate::{
    model::{Port, Saw},
    stream::{Error, Line, read},
};

#[test]
fn a_line_that_is_no_record_says_why() {
    let good = br#"{"specversion":"1.0","id":"1","source":"s","type":"watchdog.loss","time":"2026-11-02T03:04:05Z","schemaversion":1,"data":{"mono_us":1,"lost":2,"place":"x"}}"#;
    let good = std::str::from_utf8(good).unwrap();
    read(good).unwrap();
    let mut text = String::new();
    for broken in [
        "",
        &good[..60],
        &good.replace(r#""schemaversion":1"#, r#""schemaversion":2"#),
        &good.replace("watchdog.loss", "watchdog.news"),
        &good.replace("watchdog.loss", "watchdog.sign.loss"),
        &good.replace(r#""lost":2"#, r#""lost":"two""#),
        &good.replace("03:04:05Z", "noon"),
    ] {
        let error: Error = read(broken).unwrap_err();
        text += &format!("{error}\n");
    }
    expect![[r#"
        cannot read this line as a record: EOF while parsing a value at line 1 column 0
        cannot read this line as a record: EOF while parsing a string at line 1 column 60
        cannot read a record of schema version 2: this program reads version 1
        cannot read a record of type "watchdog.news": this program does not know it, or the data is of another type
        cannot read this line as a record: missing field `source`
        cannot read this line as a record: invalid type: string "two", expected u64
        cannot read this line as a record: failed to parse two digit integer as hour: invalid digit, expected 0-9 but got n
    "#]].assert_eq(&text);
}

#[test]
fn a_sign_whose_type_does_not_fit_its_data_is_refused() {
    let line = Line {
        id: "1".into(),
        source: "s".into(),
        time: "2026-11-02T03:04:05Z".parse().unwrap(),
        unit: None,
        record: sign(Saw::ListenerUp(Port(80))),
    };
    let json = String::from_utf8(line.to_json()).unwrap().replace("sign.listener_up", "sign.stall_over");
    expect![[r#"cannot read a record of type "watchdog.sign.stall_over": this program does not know it, or the data is of another type"#]].assert_eq(&read(&json).unwrap_err().to_string());
}
