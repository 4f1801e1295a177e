//! Listeners that come and go, and what waits in their queues.

use expect_test::expect;

use super::check;

#[test]
fn c3_a_lost_listener_is_told_when_it_does_not_come_back_at_once() {
    check(
        3_000,
        "0 listen 80#1 443#2
         1000 listen 443#2
         2000 listen 80#3 443#2",
        expect![[r#"
            1.1s 80 lost one, 0 left
            2s 80 is up
        "#]],
    );
}

#[test]
fn a_port_that_is_bound_anew_is_not_lost() {
    check(
        3_000,
        "0 listen 80#1
         1195 listen
         1250 listen 80#2",
        expect![[r#"
            1.3s 80 is up
            1.3s 80 lost one, 1 left
        "#]],
    );
}

#[test]
fn of_several_listeners_the_loss_of_one_is_told_at_once() {
    check(
        2_000,
        "0 listen 80#1 80#2 80#3
         1000 listen 80#1 80#3
         1500 listen 80#1 80#4",
        expect![[r#"
            1s 80 lost one, 2 left
            1.6s 80 is up
            1.6s 80 lost one, 2 left
        "#]],
    );
}

#[test]
fn a_listener_of_a_watched_cgroup_is_told_on_any_port_and_a_strangers_is_not() {
    check(
        1_000,
        "0 listen 80#1
         500 listen 80#1 22#2@6 8080#3@7",
        expect![[r#"
            600ms 8080 is up
        "#]],
    );
}

#[test]
fn f2_the_oldest_connection_of_a_queue_is_told_when_it_is_too_old() {
    check(
        3_000,
        "0 listen 80#1
         1000 listen 80#1=1
         1000 client #5 waits
         1150 listen 80#1=2
         1150 client #6 waits
         2000 listen 80#1
         2000 client #5 in=2000:9 out=2000:9
         2000 client #6 in=2000:9 out=2000:9",
        expect![[r#"
            1s 80 is used
            1.305s 2 305ms in the queue of 80
            2.205s 80 moves
        "#]],
    );
}

#[test]
fn a_queue_that_moves_is_no_stall() {
    let moves: Vec<String> = (0..30)
        .map(|n| {
            let at = 1_000 + n * 100;
            format!("{at} listen 80#1=1\n{at} gone #{n}\n{at} client #{} waits", n + 1)
        })
        .collect();
    check(
        4_000,
        &format!("0 listen 80#1\n{}", moves.join("\n")),
        expect![[r#"
            1s 80 is used
        "#]],
    );
}

#[test]
fn own_heartbeats_in_the_queue_are_no_clients() {
    check(
        4_000,
        "0 listen 80#1
         1000 listen 80#1=1
         1000 client #5 ours waits",
        expect![[""]],
    );
}

#[test]
fn clients_that_broke_off_in_the_queue_are_told_as_it_never_gets_empty() {
    check(
        5_000,
        "0 listen 80#1
         1000 listen 80#1=3
         4000 listen 80#1",
        expect![[r#"
            1.6s 3 600ms in the queue of 80
            4s 80 moves
        "#]],
    );
}
