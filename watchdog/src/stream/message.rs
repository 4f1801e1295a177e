//! The kinds of messages in the journal. Each has an id that never changes: by it the catalogue (`contrib/watchdog.catalog`)
//! tells what the message means and what to do, and programs find it.

use super::{Record, Said};
use crate::model::{Decision, IncidentEnd, Saw, Verdict};

/// What kind of message a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Sign,
    SourceLost,
    SourceWorks,
    SourceFails,
    Rungs,
    Fact,
    Command,
    Suspicion,
    HeartbeatAlive,
    HeartbeatDead,
    HeartbeatUnknown,
    Act,
    Hold,
    LeaveAlone,
    Alert,
    Recovered,
    Quarantined,
    StoodDown,
    Superseded,
    Action,
    Outcome,
    Notified,
    Loss,
    State,
}

impl Message {
    /// The kind of this record.
    pub(super) fn of(record: &Record) -> Message {
        match &record.said {
            Said::Sign(sign) => match &sign.saw {
                Saw::Loss(_) => Message::SourceLost,
                Saw::Working { works: true, .. } => Message::SourceWorks,
                Saw::Working { works: false, .. } => Message::SourceFails,
                Saw::Serving(_) => Message::Rungs,
                Saw::Exit(_)
                | Saw::SignalSent(_)
                | Saw::ListenerUp(_)
                | Saw::ListenerDown { .. }
                | Saw::AcceptStall(_)
                | Saw::AnswerStall(_)
                | Saw::StallOver(_)
                | Saw::InUse(_)
                | Saw::OomKill(_)
                | Saw::ServerErrors(_)
                | Saw::LogErrors(_)
                | Saw::UnixStall(_)
                | Saw::CommandRun(_)
                | Saw::Unit(_)
                | Saw::Job(_)
                | Saw::Listeners(_) => Message::Sign,
            },
            Said::Fact(_) => Message::Fact,
            Said::Command(_) | Said::Audit(_) => Message::Command,
            Said::Suspicion(_) => Message::Suspicion,
            Said::Heartbeat(answer) => match answer.verdict {
                Verdict::Alive => Message::HeartbeatAlive,
                Verdict::Dead => Message::HeartbeatDead,
                Verdict::Unknown => Message::HeartbeatUnknown,
            },
            Said::Decision(tell) => match &tell.decision {
                Decision::Act { .. } => Message::Act,
                Decision::Hold { .. } => Message::Hold,
                Decision::LeaveAlone { .. } => Message::LeaveAlone,
                Decision::Alert { .. } => Message::Alert,
                Decision::End(story) => match story.end {
                    IncidentEnd::Recovered => Message::Recovered,
                    IncidentEnd::Quarantined => Message::Quarantined,
                    IncidentEnd::StoodDown => Message::StoodDown,
                    IncidentEnd::Superseded => Message::Superseded,
                },
            },
            Said::Action(_) => Message::Action,
            Said::Outcome(_) => Message::Outcome,
            Said::Notified(_) => Message::Notified,
            Said::Loss(_) => Message::Loss,
            Said::State(_) => Message::State,
        }
    }

    /// Its MESSAGE_ID, for ever.
    pub(super) fn id(self) -> &'static str {
        match self {
            Message::Sign => "8d0a4fe08ebc4d45a7edca906b2b5624",
            Message::SourceLost => "ba34857e6d7b4abf9956f4516bd02e0c",
            Message::SourceWorks => "d9b06a5a2aa44c3382d5e3530484a849",
            Message::SourceFails => "e02c9d3672e64b14bd2dc830f2ace027",
            Message::Rungs => "5809ffcbb3c34eb58c305362c0146789",
            Message::Fact => "0df9a53864534cdebd3ebdb0322c4925",
            Message::Command => "9aa9b94b987043b48a2178b64ee06b9f",
            Message::Suspicion => "15ca96bc720e43e2ad7f9111d3dbdb63",
            Message::HeartbeatAlive => "06f771d5fe7e4cbbad6f9d6245cba7ee",
            Message::HeartbeatDead => "30e2022ebfb24701af3bb9d96e56ae46",
            Message::HeartbeatUnknown => "0b386bac109847fd8bd878fb56dba82d",
            Message::Act => "46688357a03f4ecbac880b5218df0006",
            Message::Hold => "e7c5f29085be4b6ea68653d9ce9d398b",
            Message::LeaveAlone => "0aecaac776ed4b67900d1dd3a17f585b",
            Message::Alert => "875203ffbda34a93be01c76d42b922d2",
            Message::Recovered => "d972e70d8cbf437597faa800093332b6",
            Message::Quarantined => "7676f295065e4db9b24a4ba62dccf5cc",
            Message::StoodDown => "5b9fc61c29ab4856a3689634f1640c3a",
            Message::Superseded => "444d6697ca2a4a068804604ce231fa9f",
            Message::Action => "0b05cdde529f461fb3a3f61e6d6c9e01",
            Message::Outcome => "7cd769ce3bfc4b69bf61016a25423208",
            Message::Notified => "99128ba195094e359c8d03eb21a74e05",
            Message::Loss => "ada859644baa4f40ab1f51b5eee3615a",
            Message::State => "249ce048288c48f8ab473a222512fc4d",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every one, in their order.
    const ALL: [Message; Message::State as usize + 1] = [
        Message::Sign,
        Message::SourceLost,
        Message::SourceWorks,
        Message::SourceFails,
        Message::Rungs,
        Message::Fact,
        Message::Command,
        Message::Suspicion,
        Message::HeartbeatAlive,
        Message::HeartbeatDead,
        Message::HeartbeatUnknown,
        Message::Act,
        Message::Hold,
        Message::LeaveAlone,
        Message::Alert,
        Message::Recovered,
        Message::Quarantined,
        Message::StoodDown,
        Message::Superseded,
        Message::Action,
        Message::Outcome,
        Message::Notified,
        Message::Loss,
        Message::State,
    ];

    const CATALOGUE: &str = include_str!("../../../contrib/watchdog.catalog");

    #[test]
    fn every_kind_of_message_stands_in_the_catalogue_and_nothing_else_does() {
        let kinds: BTreeSet<&str> = ALL.iter().map(|message| message.id()).collect();
        assert_eq!(kinds.len(), ALL.len(), "an id is used twice");
        assert!(ALL.iter().enumerate().all(|(at, message)| at == *message as usize));
        let listed: Vec<&str> = CATALOGUE.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), kinds);
        assert_eq!(listed.len(), kinds.len(), "an entry stands there twice");
    }

    #[test]
    fn every_entry_has_a_subject_and_a_text_of_fields_that_messages_have() {
        const FIELDS: [&str; 5] =
            ["WATCHDOG_SERVICE", "WATCHDOG_UNIT", "WATCHDOG_INCIDENT", "MESSAGE", "OBJECT_SYSTEMD_UNIT"];
        for entry in CATALOGUE.split("\n-- ").skip(1) {
            let (head, text) = entry.split_once("\n\n").expect("an empty line before the text");
            let head: Vec<&str> = head.lines().collect();
            assert!(head[0].len() == 32 && head[0].bytes().all(|b| b.is_ascii_hexdigit()), "{entry}");
            assert!(head[1].starts_with("Subject: ") && head[2] == "Defined-By: watchdog", "{entry}");
            assert!(text.trim().len() > 40, "{entry}");
            for field in entry.split('@').skip(1).step_by(2) {
                assert!(FIELDS.contains(&field), "@{field}@ in {entry}");
            }
        }
    }
}
