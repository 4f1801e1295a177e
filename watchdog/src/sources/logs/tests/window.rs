//! What is told of lines that come at these times: `MILLISECONDS LINES ERRORS`, of which half of 20 within 10 s must be errors.

use std::{fmt::Write as _, time::Duration};

use expect_test::{Expect, expect};

use crate::{
    model::Mono,
    sources::logs::window::{Count, Window},
};

fn check(script: &str, expected: Expect) {
    let mut window = Window::new(0.5, 20, Duration::from_secs(10));
    let mut told = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [ms, lines, errors] = numbers[..] else { panic!("{line}") };
        let _ = write!(told, "{line}");
        if let Some(found) = window.step(Mono(ms * 1_000_000), Count { lines, errors }) {
            let _ = write!(told, ": {} of {} are errors", found.errors, found.lines);
        }
        told.push('\n');
    }
    expected.assert_eq(&told);
}

#[test]
fn b4_it_takes_the_number_and_the_share() {
    check(
        "100000 19 19
         100100 1 0
         200000 100 49
         200100 1 1
         200200 1 1
         300000 1000 10
         400000 5 5",
        expect![[r#"
            100000 19 19
            100100 1 0: 19 of 20 are errors
            200000 100 49
            200100 1 1
            200200 1 1: 51 of 102 are errors
            300000 1000 10
            400000 5 5
        "#]],
    );
}

#[test]
fn b4_what_is_older_than_the_time_does_not_count() {
    check(
        "100000 10 10
         105000 9 9
         110100 10 10
         115100 1 1
         119000 9 9",
        expect![[r#"
            100000 10 10
            105000 9 9
            110100 10 10
            115100 1 1
            119000 9 9: 20 of 20 are errors
        "#]],
    );
}

#[test]
fn b4_it_is_told_again_after_it_was_below_or_after_the_whole_time() {
    check(
        "100000 20 20
         100200 20 20
         109900 20 20
         110000 20 20
         111000 200 0
         111500 500 500
         112000 500 0
         112100 500 500
         112600 1 1",
        expect![[r#"
            100000 20 20: 20 of 20 are errors
            100200 20 20
            109900 20 20
            110000 20 20: 40 of 40 are errors
            111000 200 0
            111500 500 500: 540 of 740 are errors
            112000 500 0
            112100 500 500
            112600 1 1: 1041 of 1741 are errors
        "#]],
    );
}

#[test]
fn b4_shares_are_met_exactly_and_no_line_is_no_error() {
    let mut window = Window::new(0.1, 30, Duration::from_millis(100));
    let step = |window: &mut Window, ms: u64, lines, errors| {
        window.step(Mono(ms * 1_000_000), Count { lines, errors }).is_some()
    };
    assert!(step(&mut window, 1_000, 30, 3));
    assert!(!step(&mut window, 9_000, 30, 2));
    let mut any = Window::new(f64::MIN_POSITIVE, 1, Duration::from_secs(1));
    assert!(!step(&mut any, 1_000, 1_000, 0));
    assert!(step(&mut any, 1_001, 1, 1));
}
