//! Connections that were accepted: requests that wait for an answer, and that a port is used.

use expect_test::expect;

use super::check;

#[test]
fn f2_a_request_is_told_when_its_answer_is_late_and_once() {
    check(
        9_000,
        "0 listen 80#1
         1500 client #5 in=1500:100",
        expect![[r#"
            2s 80 is used
            2.505s 1 1.005s without an answer of 80
        "#]],
    );
}

#[test]
fn f2_a_second_request_of_a_connection_is_told_too() {
    check(
        9_000,
        "0 listen 80#1
         1500 client #5 in=1500:100 out=1600:100
         4100 client #5 in=4100:200 out=1600:100",
        expect![[r#"
            2s 80 is used
            5.105s 1 1.005s without an answer of 80
        "#]],
    );
}

#[test]
fn f2_an_unread_request_is_told_though_it_came_as_the_server_sent() {
    check(
        9_000,
        "0 listen 80#1
         1500 client #5 in=1500:100 out=1500:100 unread",
        expect![[r#"
            2s 80 is used
            2.505s 1 1.005s without an answer of 80
        "#]],
    );
}

#[test]
fn what_waits_for_the_client_is_no_stall() {
    check(
        9_000,
        "0 listen 80#1
         1500 client #5
         1500 client #6 in=1500:10 out=1600:10
         1500 client #7 in=1600:10 out=1500:10 stuck
         1500 client #8 in=1500:10 ours
         1500 client #9 waits in=1500:10",
        expect![[r#"
            2s 80 is used
        "#]],
    );
}

#[test]
fn one_late_answer_beside_others_in_time_is_no_stall() {
    let others: Vec<String> =
        (0..30).map(|n| format!("{at} client #6 in={at}:5 out={at}:5", at = 1_600 + n * 200)).collect();
    check(
        7_000,
        &format!("0 listen 80#1\n1500 client #5 in=1500:100\n{}", others.join("\n")),
        expect![[r#"
            2s 80 is used
        "#]],
    );
}

#[test]
fn late_answers_are_told_together_and_not_more_often_than_each_answer_after() {
    check(
        5_000,
        "0 listen 80#1
         1500 client #5 in=1500:100
         1700 client #6 in=1700:100
         1900 client #7 in=1900:100",
        expect![[r#"
            2s 80 is used
            2.505s 1 1.005s without an answer of 80
            3.505s 3 2.005s without an answer of 80
        "#]],
    );
}

#[test]
fn clients_are_told_of_at_most_each_five_seconds() {
    let clients: Vec<String> = (1..16).map(|n| format!("{}500 client #{n}", n)).collect();
    check(
        16_000,
        &format!("0 listen 80#1\n{}", clients.join("\n")),
        expect![[r#"
            2s 80 is used
            7s 80 is used
            12s 80 is used
        "#]],
    );
}
