//! Those who look on.

use super::{numbered, stamp};
use crate::stream::{Said, Stream, read};

#[tokio::test]
async fn whoever_is_too_slow_is_told_how_much_was_missed_and_holds_up_nobody() {
    let stream = Stream::start(stamp(), Vec::new()).unwrap();
    let mut lines = stream.tap().look_on();
    (0..2_000).for_each(|number| stream.write(&numbered(number)));
    let first = lines.next().await.unwrap();
    let Said::Loss(loss) = read(std::str::from_utf8(&first).unwrap()).unwrap().record.said else { panic!() };
    let next = lines.next().await.unwrap();
    let next = read(std::str::from_utf8(&next).unwrap()).unwrap().record;
    assert_eq!(next, numbered(u16::try_from(loss.lost).unwrap()));
    assert!(loss.lost > 1_000 && loss.lost < 2_000, "{}", loss.lost);
}

#[tokio::test]
async fn a_line_names_the_unit_of_its_service_once_that_is_known() {
    let stream = Stream::start(stamp(), Vec::new()).unwrap();
    let (nginx, unit) = (super::samples::nginx(), super::samples::unit());
    stream.know([(nginx.clone(), unit.clone())].into());
    let mut lines = stream.tap().look_on();
    stream.write(&super::samples::outcome(crate::model::Result::Done));
    let line = read(std::str::from_utf8(&lines.next().await.unwrap()).unwrap()).unwrap();
    assert_eq!((line.record.subject, line.unit), (Some(nginx), Some(unit)));
}
